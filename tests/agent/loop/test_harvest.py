"""The harvest in whole sessions: a runner whose simulated probes leave answers behind, as a model would."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harvests import NOISE, TRYING, Answering, go_on, night, orders, stores, study
from nights import hasty
from worlds import adding, confirmed, play, recorded, small_study, stack_of

from agent.ledger.store import Ledger
from agent.ledger.tables import CheckRow
from agent.loop.harvest import HARVEST, REFUSED
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.search_parts import SearchParts
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from lanes import Recipe
from preferences.collection.pairing import RESOLVED
from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import KINDS, Row
from preferences.store.stores import Stores
from probes.inputs.prompts import Prompt
from probes.inputs.rows.turns import Turn
from probes.result.reading import Outcome, Probe, Reading, Score
from probes.run.protocol import Listener
from probes.run.store import ProbeStore
from testing import simulated_study
from testing.simulated_runner import EffectWorld
from view.data.session_record import load_record
from view.report.report import report_markdown, write_report
from view.terminal.live import watching


def checks(workspace: Path, kind: str = HARVEST) -> dict[str, CheckRow]:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        return {check.subject: check for name in ledger.sessions() for check in ledger.checks(name, kind)}


def probes_counted(workspace: Path) -> int:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        (session,) = ledger.sessions()
        return len(ledger.probes(session))


def resolved(workspace: Path) -> set[str]:
    """The first members of stacks whose confirmation told something."""
    return {
        one.id
        for one, _ in recorded(workspace)
        if one.basis is not None
        and one.basis.stack is not None
        and one.id == one.basis.stack.members[0]
        and one.reason.partition(":")[0] in RESOLVED
    }


def test_a_resolved_decision_gives_rows_of_the_better_recipe_against_the_worse(tmp_path: Path) -> None:
    night(study(tmp_path), tmp_path)
    pairs = {decision.id: (decision, proposal) for decision, proposal in recorded(tmp_path)}
    found = stores(tmp_path)
    reasons = {pairs[one.row.provenance.decision][0].reason for one in found["dpo"]}
    assert reasons == {"improved", "worse"}
    assert not found["orpo"]
    prompts = {prompt.text for prompt in study(tmp_path).material.prompts_of(HARVEST)}
    for row in (one.row for one in found["dpo"]):
        decision, proposal = pairs[row.provenance.decision]
        kept, discarded = row.provenance.sides
        better = (proposal.child, proposal.parent) if decision.status == "KEEP" else (proposal.parent, proposal.child)
        assert (kept.recipe, discarded.recipe) == better
        assert (kept.sampler_seed, kept.sample) == (discarded.sampler_seed, discarded.sample)
        assert row.scores[0] is not None
        assert row.scores[1] is not None
        assert row.scores[0] - row.scores[1] >= 1
        assert kept.bar == discarded.bar == "execution"
        assert kept.figures["pass"] == pytest.approx(row.scores[0] / 10)
        assert row.prompt in prompts
        assert row.provenance.session == decision.session
    for row in (one.row for one in (*found["preference"], *found["reward"])):
        assert row.prompt in prompts
        assert row.provenance.decision == ""
        assert len({side.recipe for side in row.provenance.sides}) == 1
    assert {row.row.provenance.decision for row in found["dpo"]} <= resolved(tmp_path) == set(checks(tmp_path))


def test_a_stack_of_two_changes_is_harvested_once_with_both_of_them(tmp_path: Path) -> None:
    gains = adding(curriculum={"easy_first": 1.5}, beta={0.2: 1.5})
    made = small_study(tmp_path)
    made = load_study(simulated_study.write_study(made.path.parent, made.text + "\n[harvest]\n"))
    night(made, tmp_path, EffectWorld(gains, NOISE), step=hasty(2))
    (members,) = [one for one in confirmed(tmp_path).values() if one[0][0].status == "KEEP"]
    assert {proposal.knob for _, proposal in members} == {"curriculum", "beta"}
    assert len(set(checks(tmp_path)) & {decision.id for decision, _ in members}) == 1
    stack, parent = stack_of(members[0][0]), members[0][1].parent
    rows = [one.row for one in stores(tmp_path)["dpo"] if one.row.provenance.decision == stack.members[0]]
    assert rows
    assert {tuple(side.recipe for side in row.provenance.sides) for row in rows} == {(stack.recipe, parent)}


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_adapters_of_the_first_pairs_answer_and_each_pair_is_compared_within_itself(
    tmp_path: Path, seeds: int
) -> None:
    made = study(tmp_path, harvest=f"seeds = {seeds}")
    runner = night(made, tmp_path)
    key = made.material.key("simulated")
    pairs: dict[str, set[tuple[str | None, ...]]] = {}
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        for members in confirmed(tmp_path).values():
            decision, proposal = members[0]
            stack = stack_of(decision)
            recipes = ledger.recipe(stack.recipe), ledger.recipe(proposal.parent)
            first = [zip(recipes, pair, strict=True) for pair in stack.seeds[:seeds]]
            trained = [tuple(Probe(recipe, key, seed).id for recipe, seed in pair) for pair in first]
            pairs[decision.id] = {pair if decision.status == "KEEP" else pair[::-1] for pair in trained}
    harvested = set(checks(tmp_path))
    expected = {adapter for name in harvested for pair in pairs[name] for adapter in pair}
    assert {probe.adapter_of for probe in runner.asked} == expected
    lender = {probe.id: probe.adapter_of for probe in runner.asked}
    for row in (one.row for one in stores(tmp_path)["dpo"]):
        sides = tuple(lender[side.probe] for side in row.provenance.sides)
        assert sides in pairs[row.provenance.decision]


def test_open_decisions_crashes_and_aa_tests_give_nothing(tmp_path: Path) -> None:
    """No order makes a difference, but for one with which training diverges."""

    class Cliff(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> Any:
            return None if probe.recipe.curriculum == "hard_first" else super().scores(probe, prompts)

    made = study(tmp_path, "disguised = 0.4\nholdout_seeds = 0", budget="decisions = 18")
    runner = night(made, tmp_path, Cliff(lambda recipe, split: 0.0, NOISE))
    kinds = {decision.reason.partition(":")[0] for decision, _ in recorded(tmp_path)}
    assert kinds & {"unpromising", "unconfirmed"}
    assert "crash" in kinds
    assert kinds & {"calibration", "false_alarm"}
    assert resolved(tmp_path) == set(checks(tmp_path)) == set()
    assert runner.asked == []
    assert not any(stores(tmp_path).values())


def test_answers_are_given_with_adapters_that_are_there_and_count_as_no_probes(tmp_path: Path) -> None:
    made = study(tmp_path)
    runner = night(made, tmp_path)
    assert runner.asked
    for probe in runner.asked:
        lent = Probe(probe.recipe, made.material.key("simulated"), probe.seed)
        assert probe.adapter_of == lent.id
        assert isinstance(ProbeStore(tmp_path / "runs").get(lent), Reading)
        assert probe.key.samples == made.file.harvest.samples
    plain = tmp_path / "plain"
    night(study(plain, harvest="prompts = 0"), plain)
    assert probes_counted(plain) == probes_counted(tmp_path)
    assert checks(plain) == {}
    rows = [[(d.id[-4:], d.status, d.reason, d.row["delta"]) for d, _ in recorded(w)] for w in (plain, tmp_path)]
    assert rows[0] == rows[1], "the harvest changes no decision"


@pytest.mark.long
@pytest.mark.parametrize("stop", [1, 4])
def test_a_kill_in_the_harvest_neither_loses_nor_doubles_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    night(study(undisturbed), undisturbed)
    with pytest.raises(KeyboardInterrupt):
        night(study(killed), killed, stop=stop)
    go_on(study(killed), killed, monkeypatch)
    texts = [
        {kind: sorted(str((one.row.prompt, one.row.texts)) for one in rows) for kind, rows in stores(folder).items()}
        for folder in (undisturbed, killed)
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]["dpo"]) > 4


def test_a_kill_between_the_rows_and_their_record_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study(tmp_path)
    from agent.loop.harvest import Harvest

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Harvest, "_record", interrupt)
        with pytest.raises(KeyboardInterrupt):
            night(made, tmp_path)
    before = {one.id for rows in stores(tmp_path).values() for one in rows}
    assert before
    assert checks(tmp_path) == {}
    go_on(made, tmp_path, monkeypatch)
    after = [one.id for rows in stores(tmp_path).values() for one in rows]
    assert before < set(after)
    assert len(set(after)) == len(after)
    assert set(checks(tmp_path)) == resolved(tmp_path)


def test_a_retracted_keep_withdraws_what_it_gave(tmp_path: Path) -> None:
    made = study(tmp_path, "disguised = 0.0")

    def only_where_it_is_decided(recipe: Recipe, split: str) -> float:
        return -orders(recipe, split) if split == "holdout" else orders(recipe, split)

    night(made, tmp_path, EffectWorld(only_where_it_is_decided, NOISE))
    kept = {decision.id for decision, _ in recorded(tmp_path) if decision.status == "KEEP"}
    assert kept
    of_keeps = [one for one in stores(tmp_path)["dpo"] if one.row.provenance.decision in kept]
    others = [one for one in stores(tmp_path)["dpo"] if one.row.provenance.decision not in kept]
    assert {one.withdrawn for one in of_keeps} == {"a KEEP of its stack was retracted: holdout"}
    assert {one.state for one in others} == {"live"}
    report = report_markdown(load_record(Workspace(tmp_path), None))
    assert "withdrawn: the KEEP was retracted" in report


@pytest.mark.parametrize("budget", ["decisions = 14\nprobes = 40", "decisions = 14"])
def test_the_harvest_needs_no_probes_of_the_budget(tmp_path: Path, budget: str) -> None:
    night(study(tmp_path, budget=budget), tmp_path)
    assert set(checks(tmp_path)) == resolved(tmp_path)
    assert resolved(tmp_path)


def test_answers_that_are_gone_are_a_harvest_without_rows_and_said(tmp_path: Path) -> None:
    class Forgetful(Answering):
        def _run_one(self, probe: Probe, listener: Listener) -> Outcome:
            outcome = super()._run_one(probe, listener)
            if probe.key.split == HARVEST:
                (self.store.directory(probe.id) / "answers.jsonl").unlink()
            return outcome

    made = study(tmp_path)
    with watching() as watcher:
        runner = Forgetful(made, tmp_path, EffectWorld(orders, NOISE))
        begin(made, Workspace(tmp_path), Overrides(), watcher, write_report, runner=runner)
    assert set(checks(tmp_path)) == resolved(tmp_path)
    assert all("are gone" in check.data["failure"] for check in checks(tmp_path).values())


class Cutting(Answering):
    """Whose answers to harvest prompts are cut at max_new_tokens; ``whole``: but for these samples."""

    whole: frozenset[int] = frozenset()

    def answer(self, probe: Probe, score: Score) -> dict[str, object]:
        cut = probe.key.split == HARVEST and score.sample not in self.whole
        return super().answer(probe, score) | ({"finish_reason": "length"} if cut else {})


@pytest.mark.parametrize("whole", [frozenset(), frozenset({1, 2})])
def test_a_cut_answer_is_never_a_chosen_side_and_the_harvest_says_how_many_there_were(
    tmp_path: Path, whole: frozenset[int]
) -> None:
    made = study(tmp_path)
    runner = Cutting(made, tmp_path, EffectWorld(orders, NOISE))
    runner.whole = whole
    with watching() as watcher:
        parts = SearchParts(next_step=TRYING)
        begin(made, Workspace(tmp_path), Overrides(), watcher, write_report, runner=runner, parts=parts)
    found, harvested = stores(tmp_path), checks(tmp_path)
    assert {side.sample for rows in found.values() for one in rows for side in one.sides[:1]} == whole
    rejected = {one.sides[1].origin for one in found["preference"]}
    assert rejected <= {"cut", "sampled"}
    assert ("cut" in rejected) == bool(whole)
    samples = made.file.harvest.samples
    for check in harvested.values():
        assert check.data["cut"] * samples == check.data["answers"] * (samples - len(whole))
    log = (tmp_path / "runs" / "progress.log").read_text(encoding="utf-8")
    assert "answers were cut at max_new_tokens and are never chosen; raise max_new_tokens under [probe]" in log
    report = report_markdown(load_record(Workspace(tmp_path), None))
    assert "are never a chosen side: raise it under `[probe]`" in report


def test_what_a_damaged_store_refused_is_made_up_for_in_the_next_night(tmp_path: Path) -> None:
    made = study(tmp_path)
    damaged = tmp_path / "runs" / "rl_data" / "preference.jsonl"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{broken\n{}\n", encoding="utf-8")
    night(made, tmp_path)
    waiting = set(checks(tmp_path, REFUSED))
    assert waiting == resolved(tmp_path)
    assert checks(tmp_path) == {}
    log = (tmp_path / "runs" / "progress.log").read_text(encoding="utf-8")
    assert len(waiting) > 1
    assert log.count(" HARVEST ") == 1, "logged once"
    damaged.unlink()
    night(made, tmp_path)
    assert waiting <= set(checks(tmp_path))
    assert waiting & {one.row.provenance.decision for one in stores(tmp_path)["dpo"]}


def test_a_prompt_that_another_study_holds_out_is_left_out_and_the_others_are_kept(tmp_path: Path) -> None:
    made = study(tmp_path)
    held = Stores(tmp_path / "runs" / "rl_data")
    taken = made.material.prompts_of(HARVEST)[0]
    held.reserve([replace(taken, split="holdout")])
    night(made, tmp_path)
    told = list(checks(tmp_path).values())
    assert told
    assert {check.data["reserved"] for check in told if check.data["reward"]} == {1}
    prompts = {one.row.prompt for rows in stores(tmp_path).values() for one in rows}
    assert len(prompts) == 7
    assert taken.text not in prompts


def test_rows_that_a_store_refuses_are_said_and_end_no_session(tmp_path: Path) -> None:
    """A person has put conversations into the store: TRL trains on one form at a time."""
    made = study(tmp_path)
    held = Stores(tmp_path / "runs" / "rl_data")
    held.reserve(made.material.all_prompts)
    turns = [(Turn("user", "Why?"),), (Turn("assistant", "Because."),), (Turn("assistant", "No."),)]
    human = TextOrigin("human")
    row = Row(
        kind="dpo",
        time="2026-01-31T00:00:00Z",
        prompt=turns[0],
        texts=(turns[1], turns[2]),
        scores=(None, None),
        category="talk",
        source="mine",
        provenance=Provenance((human, human)),
    )
    held.add([row])
    night(made, tmp_path)
    told = [check.data["failure"] for check in checks(tmp_path, REFUSED).values()]
    assert told
    assert all("one form at a time" in text for text in told)
    assert [one.id for one in stores(tmp_path)["dpo"]] == [row.id]
    report = report_markdown(load_record(Workspace(tmp_path), None))
    assert "one form at a time" in report


def test_the_report_counts_the_rows_of_each_decision(tmp_path: Path) -> None:
    night(study(tmp_path), tmp_path)
    found = checks(tmp_path)
    totals = {kind: len(rows) for kind, rows in stores(tmp_path).items()}
    assert {kind: sum(check.data[kind] for check in found.values()) for kind in KINDS} == totals
    report = report_markdown(load_record(Workspace(tmp_path), None))
    section = report[report.index("## Preference pairs") : report.index("## Time and cost")]
    for check in found.values():
        cells = [check.subject[-3:], *(str(check.data[kind]) for kind in ("preference", "reward", "dpo"))]
        assert all(f" {cell} " in section for cell in cells)
    log = (tmp_path / "runs" / "progress.log").read_text(encoding="utf-8")
    assert log.count(" HARVEST ") == len(found)


def test_a_simulated_night_has_nobody_to_ask(tmp_path: Path) -> None:
    made = study(tmp_path)
    play(made, tmp_path, EffectWorld(orders))
    assert resolved(tmp_path)
    assert checks(tmp_path) == {}


def test_the_harvest_is_asked_evenly_over_the_categories(tmp_path: Path) -> None:
    def asked(table: str) -> list[str]:
        return [prompt.id for prompt in study(tmp_path, harvest=table).material.prompts_of(HARVEST)]

    assert asked("prompts = 3") == ["harvest-arithmetic-0", "harvest-arithmetic-1", "harvest-lists-0"]
    assert len(asked("prompts = 100")) == 8
    assert asked("prompts = 0") == []


@pytest.mark.parametrize(
    ("table", "told"), [("margin = 0", "margin"), ("prompts = -1", "prompts"), ("prompt = 3", "prompts")]
)
def test_a_wrong_harvest_table_is_refused(tmp_path: Path, table: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        study(tmp_path, harvest=table)
