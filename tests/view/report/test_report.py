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
from view.data.session_figures import session_figures
from view.data.session_record import SessionRecord, load_record
from view.markdown import bar, code, plain, table, text
from view.report.report import report_data, report_markdown, write_report

HOSTILE = (
    "a | b `c` <script>alert(1)</script>\n\n# Kept\n| x | y |\n[go](http://evil.example) ![i](x) **KEEP** \\| &lt;"
)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.fixture(scope="module")
def climb(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two KEEPs."""
    return nights.night(tmp_path_factory.mktemp("climb"), nights.CLIMBING, per_category=64, decisions=2)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return nights.night(tmp_path_factory.mktemp("mixed"), nights.MIXED)


@pytest.fixture(scope="module")
def fruitless(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return nights.night(tmp_path_factory.mktemp("fruitless"), nights.FRUITLESS)


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return nights.night(tmp_path_factory.mktemp("crashing"), nights.CRASHING)


def record_of(workspace: Workspace) -> SessionRecord:
    return load_record(workspace, None)


def report(workspace: Workspace) -> str:
    return report_markdown(record_of(workspace))


def section(markdown: str, heading: str) -> str:
    return re.split(r"\n## ", markdown.partition(f"\n## {heading}\n")[2])[0]


def inline(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or []]


def test_a_night_with_a_keep_names_its_effect_interval_and_every_guard(mixed: Workspace) -> None:
    kept = session_figures(record_of(mixed)).with_status("KEEP")
    assert kept
    for decision in kept:
        assert decision.target is not None
        figure = f"{decision.target.delta:+.2f} [{decision.target.low:+.2f}, {decision.target.high:+.2f}]"
        guard, told = decision.guards[0], f"{decision.shrunk:+.2f} after shrinking"
        for place in (report(mixed).partition("\n## ")[0], section(report(mixed), "Kept")):
            assert figure in place
            assert f"confirmed over {decision.pairs} fresh pairs; {told}" in place
        assert f"Guard `arithmetic` {guard.change.delta:+.2f}, at worst {guard.bound:+.2f}" in report(mixed)


def test_the_figures_of_the_report_are_those_of_the_ledger_and_of_results_tsv(mixed: Workspace) -> None:
    data = report_data(record_of(mixed))
    with Ledger(mixed.ledger, read_only=True) as ledger:
        stored = {decision.id: decision for decision in ledger.decisions("WHERE turn > 0")}
    assert len(data["decisions"]) == len(stored) == 4
    for shown in data["decisions"]:
        decision = stored[shown["id"]]
        assert decision.comparison is not None
        effect = decision.comparison["differences"]["lists"]
        assert shown["target"] == {name: effect[name] for name in ("delta", "low", "high")}
        assert shown["status"] == decision.status
        assert shown["guards"][0]["holds"] == decision.row["guards_ok"]
        assert shown["guards"][0]["change"]["delta"] == decision.row["worst_guard_delta"]
        assert shown["guards"][0]["bound"] == decision.row["worst_guard_low"]
        assert shown["shrunk"] == decision.row["shrunk"]
        assert f"{decision.row['delta']:+.2f} [{decision.row['ci_low']:+.2f}" in report(mixed)


def test_report_data_survives_json(mixed: Workspace, crashing: Workspace) -> None:
    for workspace in (mixed, crashing):
        data = report_data(record_of(workspace))
        assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_a_night_without_a_keep_says_so_plainly_with_the_effect_it_could_have_seen(fruitless: Workspace) -> None:
    found, summary = session_figures(record_of(fruitless)), report(fruitless).partition("\n## ")[0]
    assert not found.with_status("KEEP")
    assert found.visible is not None
    assert summary.startswith(f"# Session {found.session}: none of 4 changes kept")
    assert "a negative result" in summary
    assert f"The minimum detectable effect was {found.visible:.2f}: a true improvement of that size" in summary
    assert "had an even chance of being confirmed this night" in summary
    assert "no proof" in summary
    assert "\n## Kept\n" not in report(fruitless)


def test_a_crash_carries_no_score_anywhere(crashing: Workspace) -> None:
    found, markdown = session_figures(record_of(crashing)), report(crashing)
    crashed = found.with_status("CRASH")
    assert crashed
    assert all((d.target, d.overall, d.candidate, d.guards) == (None, None, None, ()) for d in crashed)
    for decision in crashed:
        assert decision.crash is not None
        assert decision.crash.kind == "diverged"
        row = next(line for line in section(markdown, "Crashes").splitlines() if f"| {decision.turn:03d} " in line)
        assert "loss is nan" in row
        assert not re.search(r"[+-]\d\.\d\d", row)
        assert f"| {decision.turn:03d} " not in section(markdown, "Guards") + section(markdown, "Error budget")
    assert "no score (crash:diverged)" in section(markdown, "Sensitivity per knob")


def test_a_night_of_crashes_alone_claims_nothing_about_the_target(tmp_path: Path) -> None:
    knobs = "learning_rate = { choices = [0.2, 0.6, 0.7] }\n"
    together = nights.variant(knobs, "0.2").replace("[policy]\n", "[policy]\nround = 2\n")
    markdown = report(nights.night(tmp_path, together, decisions=2))
    assert "Nothing was kept and nothing was measured:** all 2 changes tried crashed" in markdown
    assert "had an even chance" not in markdown


def test_a_starting_recipe_that_fails_is_the_headline(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="could not be measured"):
        nights.night(tmp_path, nights.variant(learning_rate="0.8"))
    markdown = report(Workspace(tmp_path / "workspace"))
    assert ": the starting recipe could not be measured" in markdown.splitlines()[0]
    assert "diverged: loss is nan" in section(markdown, "Crashes")


def test_a_session_with_only_its_baseline_has_a_report(tmp_path: Path) -> None:
    text_ = nights.variant(probes="9").replace("decisions = 8\n", "")  # six of them are kept back for the holdout
    markdown = report(nights.night(tmp_path, text_, decisions=None))
    assert "no change was decided on" in markdown.splitlines()[0]
    assert "It scores" in markdown
    assert "| lists " in section(markdown, "Noise floor")


def test_a_session_whose_budget_ended_before_its_baseline_claims_no_measurement(tmp_path: Path) -> None:
    text_ = nights.variant().replace("decisions = 8", "hours = 1e-9")
    markdown = report(nights.night(tmp_path, text_, decisions=None))
    assert "Nothing was measured" in markdown
    assert "Only the starting recipe" not in markdown


def test_an_interrupted_session_says_so_and_how_to_resume(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, stop_after=2)
    record = record_of(workspace)
    markdown = report_markdown(record)
    assert record.state == "interrupted"
    assert "It was interrupted and is not finished" in markdown
    assert f"nightlane resume {record.session.id}" in section(markdown, "Go on")
    assert "nightlane run" not in markdown


def test_a_finished_session_names_the_command_to_go_on_and_the_recipe_that_stands(mixed: Workspace) -> None:
    record = record_of(mixed)
    path = write_report(mixed, record.session.id)
    assert "nightlane run ../study/study.toml" in section(path.read_text(encoding="utf-8"), "Go on")
    assert Recipe.from_toml((path.parent / "recipe.toml").read_text(encoding="utf-8")) == record.incumbent
    assert record.incumbent != record.start


def test_the_session_wrote_the_same_report_that_is_written_again(mixed: Workspace) -> None:
    path = mixed.session(record_of(mixed).session.id) / "report.md"

    def told() -> list[str]:
        """But for what counts the time, which the session's own report cannot have to its end."""
        lines = path.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if not re.match(r"\| (active time|cost|budget left) ", line)]

    before = told()
    assert write_report(mixed, path.parent.name.removeprefix("session-")) == path
    assert told() == before


def test_missing_and_torn_probe_directories_are_told_and_tolerated(mixed: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(mixed.root, copied.root)
    shutil.copytree(mixed.root.parent / "study", tmp_path / "study")
    first, second = sorted(copied.runs.glob("probe-*"))[:2]
    shutil.rmtree(first)
    (second / "outcome.json").write_text('{"reading": {', encoding="utf-8")
    found = session_figures(record_of(copied))
    assert {f"probe-{probe}" for probe in found.missing} == {first.name, second.name}
    assert "2 probes of this session can no longer be read" in report(copied)
    assert found.decisions == session_figures(record_of(mixed)).decisions
    for folder in copied.runs.glob("probe-*"):
        shutil.rmtree(folder)
    number = len(record_of(mixed).probes)
    assert f"{number} probes of this session can no longer be read" in report(copied)
    assert "\n## Noise floor\n" not in report(copied)


def test_crashes_keep_their_message_when_their_directories_are_gone(crashing: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(crashing.root, copied.root)
    for folder in copied.runs.glob("probe-*"):
        shutil.rmtree(folder)
    assert "loss is nan" in section(report(copied), "Crashes")


def test_the_noise_is_the_spread_between_the_seeds_of_the_starting_recipe(mixed: Workspace) -> None:
    record = record_of(mixed)
    noise = {item.category: item for item in session_figures(record).noise}
    assert set(noise) == {"arithmetic", "lists", "overall"}
    readings = [reading for reading in record.readings(record.session.start) if reading.seed in (42, 123, 7)]
    assert noise["lists"].by_seed == {str(r.seed): r.mean("lists") for r in readings}
    assert noise["lists"].mean == pytest.approx(record.decisions[0].row["target"])
    assert f"{noise['lists'].deviation:.2f}" in section(report(mixed), "Noise floor")


def test_time_is_split_by_phase_with_the_share_outside_them(mixed: Workspace) -> None:
    cost = section(report(mixed), "Time and cost")
    found = session_figures(record_of(mixed)).cost
    assert found.probes == found.readings == len(list(mixed.runs.glob("probe-*")))
    assert found.total == pytest.approx(0.01 * found.probes)
    assert "80.0% of probe time" in cost
    assert "outside these three" in cost
    assert found.dollars == pytest.approx(found.active)  # 3600 dollars per active hour


def test_moves_tried_add_up_to_the_decisions_and_never_exceed_the_legal_ones(mixed: Workspace) -> None:
    found = session_figures(record_of(mixed))
    knobs = [knob for lane in found.searched for knob in lane.knobs]
    assert sum(knob.tried for knob in knobs) == len(found.decisions)
    assert all(knob.tried <= knob.legal for knob in knobs)
    assert sum(lane.share_achieved or 0 for lane in found.searched) == pytest.approx(1)


def test_readings_of_an_earlier_session_serve_the_next_ones_report(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, decisions=1)
    nights.night(tmp_path, decisions=1)
    found = session_figures(record_of(workspace))
    assert 0 < found.cost.borrowed < 3, "of what stands, under the seeds that screened it and are the study's"
    assert found.noise


def test_a_hostile_hypothesis_cannot_break_a_table_or_inject(mixed: Workspace, tmp_path: Path) -> None:
    copied = Workspace(tmp_path / "workspace")
    shutil.copytree(mixed.root, copied.root)
    shutil.copytree(mixed.root.parent / "study", tmp_path / "study")
    database = sqlite3.connect(copied.ledger)
    with database:
        database.execute("DROP TABLE row_digests")  # a ledger from before rows had checksums
        database.execute("UPDATE proposals SET hypothesis = ?, proposer = ? || proposer", (HOSTILE, HOSTILE))
    database.close()
    markdown = report(copied)
    clean, hostile = MARKDOWN.parse(report(mixed)), MARKDOWN.parse(markdown)
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


def test_an_unknown_session_is_refused_with_the_known_ones(mixed: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no session 'x'") as refused:
        load_record(mixed, "x")
    assert record_of(mixed).session.id in str(refused.value)
    with pytest.raises(BadInput, match="nightlane run STUDY"):
        load_record(Workspace(tmp_path), None)


def test_the_noise_has_category_by_difficulty_critical_failures_and_missing_scores(climb: Workspace) -> None:
    found = session_figures(record_of(climb))
    start, end = found.profiles
    assert (start.recipe, end.recipe) == (found.question.start, found.incumbent)
    levels = {(level.category, level.difficulty): level for level in start.levels}
    assert sorted(levels) == [(name, number) for name in ("arithmetic", "lists") for number in (1, 2, 3)]
    assert sum(level.prompts for level in start.levels) == 128
    readings = record_of(climb).readings(start.recipe)
    assert len(readings) > 3, "those of its candidates' rounds, too"
    prompts = {
        p.id for p in record_of(climb).study.material.probe_prompts if (p.category, p.difficulty) == ("lists", 2)
    }
    values = [score.value for reading in readings for score in reading.scores if score.prompt in prompts]
    assert levels["lists", 2].mean == pytest.approx(sum(values) / len(values))
    shown = section(report(climb), "Noise floor")
    assert "| category   | difficulty | prompts | starting recipe | incumbent now |" in shown
    assert f"0 critical failures and 0 answers without a score, of {128 * 4 * len(readings)} answers" in shown


def test_a_report_without_the_prompts_file_says_what_it_leaves_out(climb: Workspace, tmp_path: Path) -> None:
    shutil.copytree(climb.root, tmp_path / "workspace")
    assert "Means by difficulty are left out" in section(report(Workspace(tmp_path / "workspace")), "Noise floor")
