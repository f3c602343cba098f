"""The report of real sessions: its sentences, and foreign text that tries to break it."""

import json
import re
import shutil
import sqlite3
from pathlib import Path

import nights
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from agent.ledger.store import Ledger
from agent.workspace.folder import Workspace
from common.errors import BadInput
from lanes import Recipe
from testing.scripted_endpoint.server import ScriptedEndpoint
from view.data.changes import Change
from view.data.session_figures import session_figures
from view.data.session_record import SessionRecord, load_record
from view.markdown import bar, chance, code, plain, table, text
from view.report.knob_chart import knob_chart
from view.report.report import report_data, report_markdown, write_report

HOSTILE = (
    "a | b `c` <script>alert(1)</script>\n\n# Kept\n| x | y |\n[go](http://evil.example) ![i](x) **KEEP** \\| &lt;"
)
LADDER = "learning_rate = { low = 1e-6, high = 1e-3, factor = 2.0, reach = 2 }\n"
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two changes kept as one stack, some without an effect, and one whose recipes diverge."""
    text = nights.governed(nights.MANY_KNOBS).replace("[budget]\n", "[budget]\ndollars_per_hour = 3600\n")
    folder = tmp_path_factory.mktemp("helped")
    return nights.night(folder, text, world=nights.HELPING, probes=60, step=nights.hasty(), seed=3)


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Both knobs help the target and break the guard."""
    text, folder = nights.governed(nights.TWO_KNOBS), tmp_path_factory.mktemp("trapped")
    return nights.night(folder, text, world=nights.TRAP, probes=40, step=nights.hasty())


def record_of(workspace: Workspace) -> SessionRecord:
    return load_record(workspace, None)


def report(workspace: Workspace) -> str:
    return report_markdown(record_of(workspace))


def section(markdown: str, heading: str) -> str:
    return re.split(r"\n## ", markdown.partition(f"\n## {heading}\n")[2])[0]


def inline(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or []]


def rows(markdown: str) -> dict[str, list[str]]:
    """The cells of the rows of a section's tables, by their first cell."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0]: cells[1:] for cells in found}


def figure(change: Change) -> str:
    return f"{change.delta:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"


@pytest.mark.long
def test_a_kept_stack_is_told_with_what_it_is_worth_and_what_each_change_does(helped: Workspace) -> None:
    found = session_figures(record_of(helped))
    [stack] = found.stacks
    assert stack.effect is not None
    assert len(stack.members) == stack.changes == 2
    assert [one.id for one in stack.standing] == [one.id for one in found.kept]
    summary, kept = report(helped).partition("\n## ")[0], section(report(helped), "Kept")
    assert f"over {stack.pairs} fresh pairs shows that these 2 changes together are worth" in summary
    assert f"### Stack {stack.number}: 2 changes" in kept
    for place in (summary, kept):
        assert f"**{figure(stack.effect)}**" in place
        assert f"Guard `arithmetic` {stack.guards[0].change.delta:+.2f}, at worst {stack.guards[0].bound:+.2f}" in place
    for member in stack.members:
        assert member.own is not None
        assert f"{figure(member.own.effect)} of its own, chance {chance(member.own.chance)}" in summary
        assert figure(member.own.effect) in rows(kept)[f"{member.turn:03d}"]


def test_the_figures_of_the_report_are_those_of_the_ledger_and_of_results_tsv(helped: Workspace) -> None:
    data = report_data(record_of(helped))
    with Ledger(helped.ledger, read_only=True) as ledger:
        stored = {decision.id: decision for decision in ledger.decisions("WHERE turn > 0")}
    assert data["decisions"]
    for shown in data["decisions"]:
        row = stored[shown["id"]].row
        assert shown["status"] == stored[shown["id"]].status
        if shown["own"] is not None:
            assert shown["own"]["effect"] == {"delta": row["delta"], "low": row["ci_low"], "high": row["ci_high"]}
            assert shown["own"]["chance"] == row["chance"]
        if shown["status"] == "KEEP":
            [stack] = [one for one in data["stacks"] if one["number"] == row["stack"]]
            assert stack["effect"]["delta"] == row["stack_delta"]
            assert stack["guards"][0]["bound"] == row["worst_guard_low"]
    spent = sum(decision.row.get("error_spent") or 0.0 for decision in stored.values())
    assert sum(stack["spent"] for stack in data["stacks"]) == pytest.approx(spent)


def test_report_data_survives_json(helped: Workspace, fragile: Workspace) -> None:
    for workspace in (helped, fragile):
        data = report_data(record_of(workspace))
        assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_what_was_not_kept_has_its_own_effect_its_chance_and_a_reason(helped: Workspace) -> None:
    found, told = session_figures(record_of(helped)), section(report(helped), "Tried and not kept")
    assert found.not_kept
    chances = [one.own.chance for one in found.not_kept if one.own]
    assert chances == sorted(chances, reverse=True)
    for one in found.not_kept:
        assert one.own is not None
        cells = rows(told)[f"{one.turn:03d}"]
        assert cells[1:4] == [figure(one.own.effect), chance(one.own.chance), str(one.own.recipes)]
        assert cells[-1] == one.reason
        assert f"- {one.reason}: " in told


def test_a_stack_that_was_not_kept_is_told_with_what_was_expected_and_measured(trapped: Workspace) -> None:
    found = session_figures(record_of(trapped))
    [stack] = found.stacks
    assert stack.effect is not None
    assert (stack.status, stack.reason) == ("DISCARD", "guard:arithmetic")
    cells = rows(section(report(trapped), "Stacks that were not kept"))[str(stack.number)]
    assert cells[:3] == [str(stack.changes), f"{stack.expected:+.2f}", figure(stack.effect)]
    assert "**no**" in rows(section(report(trapped), "Guards"))[str(stack.number)]


def test_a_change_that_is_expected_to_break_a_guard_is_named_with_it_and_not_advised(trapped: Workspace) -> None:
    found, markdown = session_figures(record_of(trapped)), report(trapped)
    ended = [one for one in found.decisions if one.is_ended_by_guard]
    assert ended
    for one in ended:
        assert rows(section(markdown, "Guards"))[f"{one.turn:03d}"][1] == "arithmetic"
    assert not found.promises
    assert "may break arithmetic" in section(markdown, "What each knob does")
    assert "is best at" not in section(markdown, "What to try next")


def test_waves_are_told_with_their_recipes_changes_and_failures(helped: Workspace) -> None:
    record = record_of(helped)
    found, told = session_figures(record).waves, section(report(helped), "Waves")
    assert [wave.design for wave in found] == ["spread", *["drawn"] * (len(found) - 1)]
    carried = {name for wave in record.waves for name in wave.proposals}
    assert sum(wave.new for wave in found) == len(carried)
    failed = [row for row in record.probes if row.kind != "reading"]
    assert [kind for wave in found for kind in wave.failed] == ["diverged"] * len(failed)
    assert failed
    assert f"{len(failed)} probes failed" in told
    for wave in found:
        assert rows(told)[str(wave.number)][2:5] == [str(wave.recipes), str(wave.changes), str(wave.new)]


def test_what_each_knob_does_is_the_model_of_all_readings(helped: Workspace) -> None:
    record = record_of(helped)
    curves = {curve.knob: curve for curve in session_figures(record).curves}
    assert set(curves) == {knob.name for knob in record.study.lanes.knobs}
    for name, moved in (("learning_rate", "0.0004"), ("beta", "0.2")):
        start, best = (
            next(place for place in curves[name].places if condition(place))
            for condition in (lambda one: one.is_start, lambda one: one.is_incumbent)
        )
        assert best.value == moved, "kept"
        assert best.effect == Change(0.0, 0.0, 0.0)
        assert start.effect.high < 0, "to go back costs what was won"
        assert start.readings + best.readings <= len(record.probes)
    assert curves["warmup"].is_flat or abs(curves["warmup"].best.effect.delta) < 0.3
    told = section(report(helped), "What each knob does")
    assert re.search(r"^  0\.0004 .*●.* stands now$", told, re.MULTILINE)
    assert re.search(
        rf"^  0\.0001 +{curves['learning_rate'].places[0].effect.delta:+.2f} .* start$", told, re.MULTILINE
    )


def test_a_value_without_a_reading_is_marked_as_inferred(fruitless: Workspace) -> None:
    for curve in session_figures(record_of(fruitless)).curves:
        lines = knob_chart([curve])
        for place, line in zip(curve.places, lines[-1 - len(curve.places) : -1], strict=True):
            if not place.is_incumbent:
                assert ("○" in line) == (place.readings == 0) == (" none " in line)


def test_a_likely_improvement_that_was_not_confirmed_is_named_for_the_next_session(fragile: Workspace) -> None:
    found, told = session_figures(record_of(fragile)), section(report(fragile), "What to try next")
    [promise] = found.promises
    assert promise.reason == "overtaken"
    assert promise.chance >= found.rule.member_chance
    assert f"`{promise.knob}` `{promise.before}` -> `{promise.after}`: {figure(promise.effect)}" in told


def test_a_knob_that_is_best_at_an_end_is_told_with_the_setting_to_widen(tmp_path: Path) -> None:
    for knobs, setting in ((nights.UPWARD.replace("1e-3", "1e-4"), "end of its bounds"), (LADDER, "raise its `reach`")):
        folder = tmp_path / setting.split()[0]
        workspace = nights.night(folder, nights.variant(knobs, "1e-5"), probes=14, step=nights.hasty(waves=9))
        [curve] = session_figures(record_of(workspace)).curves
        assert curve.edge is not None
        told = section(report(workspace), "What to try next")
        assert setting in told
        assert "`[lanes.hyperparameters]`" in told


def test_a_night_without_a_keep_says_so_plainly_with_the_effect_it_could_have_seen(fruitless: Workspace) -> None:
    found, summary = session_figures(record_of(fruitless)), report(fruitless).partition("\n## ")[0]
    assert not found.with_status("KEEP")
    assert found.visible is not None
    assert summary.startswith(f"# Session {found.session}: none of {len(found.decisions)} changes kept")
    assert "a negative result" in summary
    assert f"The minimum detectable effect was {found.visible:.2f}: changes that together are worth that" in summary
    assert "had an even chance of being confirmed this night" in summary
    assert "no proof" in summary
    assert "\n## Kept\n" not in report(fruitless)


def test_the_report_says_what_the_night_could_show_as_its_log_does(fruitless: Workspace) -> None:
    found, log = session_figures(record_of(fruitless)).power, (fruitless.runs / "progress.log").read_text("utf-8")
    assert found
    assert all(f" POWER {line}" in log for line in found)
    assert found[0] in section(report(fruitless), "Noise floor")
    if len(found) > 1:
        assert found[1] in section(report(fruitless), "What to try next")


def test_a_crash_carries_no_score_anywhere(fragile: Workspace) -> None:
    found, markdown = session_figures(record_of(fragile)), report(fragile)
    crashed = found.with_status("CRASH")
    assert crashed
    assert all((d.own, d.target, d.overall, d.candidate, d.guards) == (None, None, None, None, ()) for d in crashed)
    for decision in crashed:
        assert decision.crash is not None
        assert decision.crash.kind == "diverged"
        cells = rows(section(markdown, "Crashes"))
        [row] = [line for line in section(markdown, "Crashes").splitlines() if f"| {decision.turn:03d} " in line]
        assert "loss is nan" in row
        assert not re.search(r"[+-]\d\.\d\d", row)
        assert cells
    [stack] = [one for one in found.stacks if one.status == "CRASH"]
    assert (stack.effect, stack.guards, stack.pairs) == (None, (), 0)


def test_a_starting_recipe_that_fails_is_the_headline(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="could not be measured"):
        nights.night(tmp_path, nights.variant(learning_rate="0.8"))
    markdown = report(Workspace(tmp_path / "workspace"))
    assert ": the starting recipe could not be measured" in markdown.splitlines()[0]
    assert "diverged: loss is nan" in section(markdown, "Crashes")


def test_a_session_with_only_its_baseline_has_a_report(tmp_path: Path) -> None:
    markdown = report(nights.night(tmp_path, probes=3))
    assert "no change was decided on" in markdown.splitlines()[0]
    assert "The starting recipe scores" in markdown
    assert "| lists " in section(markdown, "Noise floor")


def test_a_session_whose_budget_ended_before_its_baseline_claims_no_measurement(tmp_path: Path) -> None:
    text_ = nights.variant().replace("decisions = 8", "hours = 1e-9")
    markdown = report(nights.night(tmp_path, text_, decisions=None))
    assert "Nothing was measured" in markdown
    assert "Only the starting recipe" not in markdown


def test_an_interrupted_session_says_so_and_how_to_resume(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, stop_after=0)
    record = record_of(workspace)
    markdown = report_markdown(record)
    assert record.state == "interrupted"
    assert "It was interrupted and is not finished" in markdown
    assert f"nightlane resume {record.session.id}" in section(markdown, "Go on")
    assert "nightlane run" not in markdown


def test_a_finished_session_names_the_command_to_go_on_and_the_recipe_that_stands(helped: Workspace) -> None:
    record = record_of(helped)
    path = write_report(helped, record.session.id)
    assert "nightlane run ../study/study.toml" in section(path.read_text(encoding="utf-8"), "Go on")
    assert Recipe.from_toml((path.parent / "recipe.toml").read_text(encoding="utf-8")) == record.incumbent
    assert record.incumbent != record.start


def test_the_session_wrote_the_same_report_that_is_written_again(helped: Workspace) -> None:
    path = helped.session(record_of(helped).session.id) / "report.md"

    def told() -> list[str]:
        """But for what counts the time, which the session's own report cannot have to its end."""
        lines = path.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if not re.match(r"\| (active time|cost|budget left) ", line)]

    before = told()
    assert write_report(helped, path.parent.name.removeprefix("session-")) == path
    assert told() == before


def test_missing_and_torn_probe_directories_are_told_and_tolerated(helped: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(helped.root, copied.root)
    shutil.copytree(helped.root.parent / "study", tmp_path / "study")
    first, second = sorted(copied.runs.glob("probe-*"))[:2]
    shutil.rmtree(first)
    (second / "outcome.json").write_text('{"reading": {', encoding="utf-8")
    found = session_figures(record_of(copied))
    assert {f"probe-{probe}" for probe in found.missing} == {first.name, second.name}
    assert "2 probes of this session can no longer be read" in report(copied)
    assert found.decisions == session_figures(record_of(helped)).decisions
    for folder in copied.runs.glob("probe-*"):
        shutil.rmtree(folder)
    number = len(record_of(helped).probes)
    assert f"{number} probes of this session can no longer be read" in report(copied)
    assert "\n## Noise floor\n" not in report(copied)


def test_crashes_keep_their_message_when_their_directories_are_gone(fragile: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(fragile.root, copied.root)
    for folder in copied.runs.glob("probe-*"):
        shutil.rmtree(folder)
    assert "loss is nan" in section(report(copied), "Crashes")


def test_the_noise_is_the_spread_between_the_seeds_of_the_starting_recipe(helped: Workspace) -> None:
    record = record_of(helped)
    noise = {item.category: item for item in session_figures(record).noise}
    assert set(noise) == {"arithmetic", "lists", "overall"}
    readings = [
        reading for reading in record.readings(record.session.start) if str(reading.seed) in noise["lists"].by_seed
    ]
    assert len(readings) == 3
    assert noise["lists"].by_seed == {str(r.seed): r.mean("lists") for r in readings}
    assert noise["lists"].mean == pytest.approx(record.decisions[0].row["target"])
    assert f"{noise['lists'].deviation:.2f}" in section(report(helped), "Noise floor")


def test_time_is_split_by_phase_with_the_share_outside_them(tmp_path: Path) -> None:
    text = nights.variant(nights.UPWARD, "1e-6", dollars_per_hour="3600")
    workspace = nights.night(tmp_path, text, probes=5)
    cost, found = section(report(workspace), "Time and cost"), session_figures(record_of(workspace)).cost
    assert found.probes == found.readings == len(list(workspace.runs.glob("probe-*")))
    assert found.total == pytest.approx(0.01 * found.probes)
    assert rows(cost)["training"][1] == "80.0%"
    assert "outside these three" in rows(cost)
    assert found.dollars == pytest.approx(found.active)


def test_probes_without_a_reading_are_counted(helped: Workspace) -> None:
    found = session_figures(record_of(helped)).cost
    assert found.probes == len(list(helped.runs.glob("probe-*"))) > found.readings
    assert f"{found.probes} ({found.probes - found.readings} without a reading)" in section(
        report(helped), "Time and cost"
    )


def test_moves_tried_add_up_to_the_decisions_and_never_exceed_the_legal_ones(helped: Workspace) -> None:
    found = session_figures(record_of(helped))
    knobs = [knob for lane in found.searched for knob in lane.knobs]
    assert sum(knob.tried for knob in knobs) == len(found.decisions)
    assert all(knob.tried <= knob.legal for knob in knobs)
    assert sum(lane.share_achieved or 0 for lane in found.searched) == pytest.approx(1)


def test_readings_of_an_earlier_session_tell_what_each_knob_does(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS)
    for _ in range(2):
        workspace = nights.night(tmp_path, text, world=nights.FLAT, probes=16, step=nights.hasty())
    first, second = (load_record(workspace, name) for name in _sessions(workspace))
    before, now = ({c.knob: c for c in session_figures(record).curves} for record in (first, second))
    for name, curve in now.items():
        assert sum(p.readings for p in curve.places) > sum(p.readings for p in before[name].places)
    assert sum(p.readings for p in before["beta"].places) <= len(first.probes), "nothing of a later session"


def _sessions(workspace: Workspace) -> list[str]:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return ledger.sessions()


def test_a_hostile_hypothesis_cannot_break_a_table_or_inject(helped: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(helped.root, copied.root)
    shutil.copytree(helped.root.parent / "study", tmp_path / "study")
    database = sqlite3.connect(copied.ledger)
    with database:
        database.execute("DROP TABLE row_digests")  # a ledger from before rows had checksums
        database.execute("UPDATE proposals SET hypothesis = ?, proposer = ? || proposer", (HOSTILE, HOSTILE))
    database.close()
    markdown = report(copied)
    clean, hostile = MARKDOWN.parse(report(helped)), MARKDOWN.parse(markdown)
    assert "alert(1)" in markdown
    assert [t.content for t in hostile if t.type.startswith("html")] == []
    kinds = {token.type for token in inline(hostile)}
    assert kinds <= {"text", "text_special", "code_inline", "strong_open", "strong_close", "softbreak"}
    assert [t.tag for t in hostile if t.type == "heading_open"] == [t.tag for t in clean if t.type == "heading_open"]
    for kind in ("table_open", "tr_open"):
        assert sum(t.type == kind for t in hostile) == sum(t.type == kind for t in clean)


@given(st.text(alphabet="ab1 _*`|\\<>[]()!&;#~$-:/.\"'{}=+@\n\t^", max_size=30) | st.text(max_size=30))
@example("a\\|b")
@example("<script>")
@example("&amp; &#60;")
@example("https://x.example www.x.example")
def test_foreign_text_in_a_cell_reads_as_written_and_as_nothing_else(foreign: str) -> None:
    for escape in (text, code):
        tokens = MARKDOWN.parse("\n".join(table(("one", "two"), [(escape(foreign), "end")])))
        cells = [token for token in tokens if token.type == "inline"]
        assert len(cells) == 4
        children = cells[2].children or []
        assert {child.type for child in children} <= {"text", "text_special", "code_inline"}
        assert "".join(child.content for child in children).strip() == plain(foreign)


@given(st.floats(-10, 10), st.floats(0, 10), st.floats(0.01, 10))
def test_an_interval_bar_keeps_its_width_and_its_zero(delta: float, half: float, scale: float) -> None:
    drawn = bar(delta, delta - half, delta + half, scale, 33)
    assert len(drawn) == 33
    assert drawn[16] in "│┼●─<>"
    assert (">" in drawn) == (delta + half > scale)


def test_an_unknown_session_is_refused_with_the_known_ones(helped: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no session 'x'") as refused:
        load_record(helped, "x")
    assert record_of(helped).session.id in str(refused.value)
    with pytest.raises(BadInput, match="nightlane run STUDY"):
        load_record(Workspace(tmp_path), None)


def test_the_noise_has_category_by_difficulty_critical_failures_and_missing_scores(helped: Workspace) -> None:
    found = session_figures(record_of(helped))
    start, end = found.profiles
    assert (start.recipe, end.recipe) == (found.question.start, found.incumbent)
    levels = {(level.category, level.difficulty): level for level in start.levels}
    assert sorted(levels) == [(name, number) for name in ("arithmetic", "lists") for number in (1, 2, 3)]
    assert sum(level.prompts for level in start.levels) == 64
    readings = record_of(helped).readings(start.recipe)
    assert len(readings) > 3, "those of its candidates' rounds, too"
    prompts = {
        p.id for p in record_of(helped).study.material.probe_prompts if (p.category, p.difficulty) == ("lists", 2)
    }
    values = [score.value for reading in readings for score in reading.scores if score.prompt in prompts]
    assert levels["lists", 2].mean == pytest.approx(sum(values) / len(values))
    shown = section(report(helped), "Noise floor")
    assert "| category   | difficulty | prompts | starting recipe | incumbent now |" in shown
    assert f"0 critical failures and 0 answers without a score, of {64 * 4 * len(readings)} answers" in shown


def test_a_report_without_the_prompts_file_says_what_it_leaves_out(helped: Workspace, tmp_path: Path) -> None:
    shutil.copytree(helped.root, tmp_path / "workspace")
    assert "Means by difficulty are left out" in section(report(Workspace(tmp_path / "workspace")), "Noise floor")


def test_turns_of_the_proposer_that_brought_nothing_are_counted_with_their_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedEndpoint([{"status": 404}, *[{"content": "a poem"}] * 9]) as endpoint:
        for name, value in endpoint.environment.items():
            monkeypatch.setenv(name, value)
        workspace = nights.night(tmp_path, nights.governed(nights.KNOBS), probes=30)
    searched = section(report(workspace), "What was searched")
    assert re.search(r"^\d+ turns of the study's proposer brought no suggestion:$", searched, re.MULTILINE)
    assert "- no reply: " in searched
    assert "replies refused, the last: " in searched
    declined = json.loads(json.dumps(report_data(record_of(workspace))))["declined"]
    assert all(isinstance(turns, int) for turns in declined.values())


def test_no_turn_is_said_to_have_brought_nothing_without_a_language_model(helped: Workspace) -> None:
    assert "brought no suggestion" not in report(helped)
