"""The rule in whole sessions, in worlds whose truth is known: rounds, calibration, the end, plateaus, the floor."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from worlds import go_on, looks, play, recorded, study_of

from agent.ledger.store import Ledger
from agent.proposers.context import CALIBRATION
from agent.proposers.dead_ends import HARM, MOST_TRIES, UNDECIDED
from agent.study.load import Study, load_study
from lanes import Recipe
from preferences.store.provenance import Provenance, Side
from preferences.store.rows import Row
from preferences.store.stores import Stores
from probes.inputs.prompts import Prompt
from probes.result.reading import Outcome, Probe, Reading, Timing
from probes.run.protocol import Listener
from probes.run.store import ProbeStore
from testing.simulated_runner import EffectWorld, SimulatedRunner

pytestmark = pytest.mark.in_memory


def order_helps(recipe: Recipe, split: str) -> float:
    """Three orders are better than shuffling, by as much as can be seen at once."""
    return {"easy_first": 1.0, "source_first": 0.9, "short_first": 0.8}.get(recipe.curriculum, 0.0)


def test_a_round_keeps_at_most_one_and_tests_the_others_again(tmp_path: Path) -> None:
    study = study_of(tmp_path, "disguised = 0.0\nround = 6\nholdout_seeds = 0", "decisions = 12", orders=True)
    play(study, tmp_path, EffectWorld(order_helps), width=6)
    pairs = recorded(tmp_path)
    first = [(decision, proposal) for decision, proposal in pairs if proposal.turn <= 6]
    assert {proposal.parent for _, proposal in first} == {study.start.digest}
    statuses = [decision.status for decision, _ in first]
    assert statuses.count("KEEP") == 1
    late = [proposal for decision, proposal in first if decision.reason == "overtaken"]
    assert len(late) >= 2
    stands = next(decision.incumbent for decision, _ in first if decision.status == "KEEP")
    again = [proposal for _, proposal in pairs if proposal.proposer.startswith("retest of")]
    assert {proposal.after for proposal in again} == {proposal.after for proposal in late}
    assert again[0].parent == stands
    assert study.start.digest not in {proposal.parent for proposal in again}
    for decision, proposal in first:
        seeds = decision.course["account"]["confirming_seeds"] if decision.course else 0
        assert seeds == 0 or proposal in [p for d, p in first if d.status == "KEEP"]


def test_candidates_of_a_round_share_the_baselines_replicates(tmp_path: Path) -> None:
    study = study_of(tmp_path, "disguised = 0.0\nround = 4\nholdout_seeds = 0", "decisions = 4")
    session = play(study, tmp_path, EffectWorld(lambda recipe, split: 0.0, 0.5), width=4)
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        probes = ledger.probes(session)
    baseline = [probe for probe in probes if probe.recipe == study.start.digest]
    screened = max(looks(decision)[-1]["pairs"] for decision, _ in recorded(tmp_path))
    assert len({probe.seed for probe in baseline}) == len(baseline) == max(3, screened)


def test_an_aa_test_is_decided_on_and_never_kept(tmp_path: Path) -> None:
    study = study_of(tmp_path, "disguised = 0.5\nhopeless = 0.0\nholdout_seeds = 0", "decisions = 12")
    play(study, tmp_path, EffectWorld(lambda recipe, split: 0.0, 0.5))
    aa_tests = [(decision, proposal) for decision, proposal in recorded(tmp_path) if proposal.lane == CALIBRATION]
    assert len(aa_tests) >= 3
    for decision, proposal in aa_tests:
        assert (decision.status, decision.reason) in (("DISCARD", "calibration"), ("DISCARD", "false_alarm"))
        assert proposal.child == proposal.parent == decision.incumbent
        assert decision.comparison is not None
        assert decision.comparison["differences"]["lists"]["delta"] != 0, "other seeds than the baseline's"
        assert [look["stage"] for look in looks(decision)][-1] == "confirmation"
    real = [proposal.child for _, proposal in recorded(tmp_path) if proposal.lane != CALIBRATION]
    assert study.start.digest not in real


def test_an_aa_test_that_would_have_been_kept_is_a_false_alarm(tmp_path: Path) -> None:
    """An A/A candidate has seeds of its own: a world that favours them shows what is counted."""
    study = study_of(tmp_path, "disguised = 0.5\nholdout_seeds = 0", "decisions = 8")
    from agent.loop.seeds import Seeds

    seeds = Seeds(study.file.probe.seeds, 0, 0)
    turns = [turn for turn in range(1, 9) if seeds.is_aa_test(turn, 0.5)]
    assert turns
    streams = [seeds.aa_candidate(turn, stage) for turn in turns for stage in ("screening", "confirming")]
    lucky = {next(stream) for stream in streams for _ in range(10)}

    class Lucky(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]]:
            found = super().scores(probe, prompts) or []
            return [[value + 2.0 * (probe.seed in lucky) for value in own] for own in found]

    play(study, tmp_path, Lucky(lambda recipe, split: 0.0))
    aa_tests = [decision for decision, proposal in recorded(tmp_path) if proposal.lane == CALIBRATION]
    assert [decision.reason for decision in aa_tests] == ["false_alarm"] * len(turns)
    assert {decision.status for decision in aa_tests} == {"DISCARD"}


def test_what_the_holdout_contradicts_is_retracted_and_no_longer_stands(tmp_path: Path) -> None:
    study = study_of(tmp_path, budget="decisions = 6", orders=True)

    def only_on_probe_prompts(recipe: Recipe, split: str) -> float:
        return order_helps(recipe, split) if split == "probe" else -order_helps(recipe, split)

    session = play(study, tmp_path, EffectWorld(only_on_probe_prompts))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        rows = ledger.decisions()
        kept = [row for row in rows if row.status == "KEEP"]
        back = [row for row in rows if row.status == "RETRACT"]
        assert kept
        assert [row.id for row in back] == [f"{row.id}-retract" for row in kept]
        assert {row.reason for row in back} == {"holdout"}
        assert rows[-1].incumbent == study.start.digest
        found = ledger.session(session)
        assert found is not None
        assert ledger.incumbent(found.question, found.key) == study.start.digest
        (check,) = ledger.checks(session, "holdout")
        assert check.data["verdict"] == "retracted"
    lines = (tmp_path / "results.tsv").read_text(encoding="utf-8").splitlines()
    assert "RETRACT" in lines[-1]
    log = (tmp_path / "runs" / "progress.log").read_text(encoding="utf-8")
    assert "RETRACT holdout" in log
    stores = Stores(tmp_path / "runs" / "rl_data")
    stores.reserve([Prompt("probe-1", "probe", "lists", 1, "Which items are even?", {})])
    stores.add([pair_of(row.id) for row in kept])
    assert {(one.state, one.withdrawn) for one in stores.read("dpo")} == {
        ("withdrawn", "its KEEP was retracted: holdout")
    }


def pair_of(decision: str) -> Row:
    """A pair that pauses on a decision."""
    sides = (Side("sampled"), Side("sampled"))
    return Row(
        kind="dpo",
        time="2026-01-01T00:00:00Z",
        prompt="# double(x)\n",
        texts=("x + x", "x * x"),
        scores=(9.0, 1.0),
        category="lists",
        source="harvest",
        provenance=Provenance(sides, decision=decision),
    )


def test_what_the_holdout_confirms_stands(tmp_path: Path) -> None:
    session = play(study_of(tmp_path, budget="decisions = 6", orders=True), tmp_path, EffectWorld(order_helps))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        assert not ledger.decisions("WHERE status = 'RETRACT'")
        assert [check.data["verdict"] for check in ledger.checks(session, "holdout")] == ["holds"]
        kept = [row for row in ledger.decisions("WHERE status = 'KEEP'")]
        left_out = ledger.checks(session, "leave_one_out")
    assert [check.subject for check in left_out] == [row.id for row in kept]
    holdout_probes = [
        outcome
        for path in (tmp_path / "runs").glob("probe-*")
        if isinstance(outcome := ProbeStore(tmp_path / "runs").read(path.name.removeprefix("probe-")), Reading)
        and outcome.key.split == "holdout"
    ]
    assert len(holdout_probes) == 6
    used = {int(seed) for row, _ in recorded(tmp_path) for seed in row.row["seeds"].split()}
    assert not used & {reading.seed for reading in holdout_probes}, "fresh seeds"


def test_a_keep_that_a_later_one_made_harmful_is_retracted_by_leaving_it_out(tmp_path: Path) -> None:
    """A learning rate and an order help, but the order helps more where the rate was left alone."""
    study = study_of(tmp_path, budget="decisions = 14")

    def clash(recipe: Recipe, split: str) -> float:
        return {(0, 0): 0.0, (1, 0): 1.0, (1, 1): 2.0, (0, 1): 2.8}[
            recipe.learning_rate != 1e-4, recipe.curriculum != "shuffle"
        ]

    play(study, tmp_path, EffectWorld(clash, 0.05))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        (back,) = ledger.decisions("WHERE status = 'RETRACT'")
        stands = ledger.recipe(back.incumbent)
        checks = ledger.checks(ledger.sessions()[0])
    assert (back.reason, back.row["knob"]) == ("leave_one_out", "learning_rate")
    assert stands.learning_rate == 1e-4
    assert stands.curriculum != "shuffle"
    assert [check.data["verdict"] for check in checks if check.kind == "holdout"] == ["holds"], "of what is left"


def test_a_plateau_widens_the_moves_then_changes_lane_then_ends_the_session(tmp_path: Path) -> None:
    study = study_of(tmp_path, "disguised = 0.0\nplateau = 4", "decisions = 60")
    session = play(study, tmp_path, EffectWorld(lambda recipe, split: -1.0 if recipe != study.start else 0.0))
    pairs = recorded(tmp_path)
    assert len(pairs) == 12
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        row = ledger.session(session)
    assert row is not None
    assert "a plateau: none of the last 12 candidates" in str(row.finish_reason)
    lanes = [proposal.lane for _, proposal in pairs]
    assert "hyperparameters" in lanes[:8]
    assert "hyperparameters" not in lanes[8:]
    reach = [
        abs(space_place(study, proposal.after) - space_place(study, proposal.before))
        for _, proposal in pairs
        if proposal.knob == "learning_rate"
    ]
    assert max(reach, default=0) <= 12


def space_place(study: Study, value: Any) -> int:
    return study.lanes.knob("learning_rate").values.index(value)


def timed(original: Any, train: float, answer: float) -> Any:
    def run_one(self: SimulatedRunner, probe: Probe, listener: Listener) -> Outcome:
        from dataclasses import replace

        found: Reading = original(self, probe, listener)
        return replace(found, timing=Timing(train, answer * probe.key.samples, 0.0, train + answer * probe.key.samples))

    return run_one


def test_the_floor_buys_answers_where_they_make_the_noise_and_are_cheap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedRunner, "_run_one", timed(SimulatedRunner._run_one, 100.0, 0.1))
    study = study_of(tmp_path, "disguised = 0.0\nmost_samples = 16\nholdout_seeds = 0", "decisions = 1")

    class Answers(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]]:
            chance = random.Random(f"{probe.recipe.digest} {probe.seed}")
            return [[5 + chance.gauss(0, 1.5) for _ in range(probe.key.samples)] for _ in prompts]

    session = play(study, tmp_path, Answers(lambda recipe, split: 0.0))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        row, (floor,) = ledger.session(session), ledger.checks(session, "floor")
        assert row is not None
        assert floor.data["samples"] == 16
        assert "for the same precision as 4" in floor.data["why"]
        assert {d.row["samples"] for d in ledger.decisions()} == {16}
        keys = {probe.key for probe in ledger.probes(session) if probe.recipe != study.start.digest}
        assert keys == {row.key}
        pilots = [probe for probe in ledger.probes(session) if probe.key != row.key]
        assert len(pilots) == 3, "the repeats that it was chosen by; they are compared with nothing"
    second = play(study, tmp_path, Answers(lambda recipe, split: 0.0))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        again = ledger.session(second)
        assert again is not None
        assert again.key == row.key, "an earlier session's choice stands, so that its decisions are known"


def test_a_confirmation_has_a_fifth_of_the_night_at_most(tmp_path: Path) -> None:
    session = play(study_of(tmp_path, budget="probes = 100"), tmp_path, EffectWorld(lambda recipe, split: 0.0))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        (floor,) = ledger.checks(session, "floor")
        assert floor.data["pairs"] == 10
        assert len(ledger.probes(session)) <= 100


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study and of a night of it, without an interruption."""
    folder = tmp_path_factory.mktemp("uncut")
    study = study_of(folder, "disguised = 0.2\nround = 2\nsurvey = 21", "decisions = 9")
    play(study, folder / "whole", EffectWorld(order_helps, 0.3), width=2)
    return folder


@pytest.mark.parametrize("after", [5, 14, 22, 30, 37, 44])
def test_a_session_cut_anywhere_ends_as_if_it_had_not_been(
    uncut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Survey, screening, confirmation, the checks at the end: the same decisions and probes, each run once."""
    study, world = load_study(uncut / "study" / "study.toml"), EffectWorld(order_helps, 0.3)
    ran: list[str] = []
    original = SimulatedRunner._run_one

    def cut(self: SimulatedRunner, probe: Probe, listener: Listener) -> Outcome:
        if len(ran) == after:
            ran.append("")
            raise KeyboardInterrupt
        ran.append(probe.id)
        return original(self, probe, listener)

    monkeypatch.setattr(SimulatedRunner, "_run_one", cut)
    try:
        play(study, tmp_path / "cut", world, width=2)
    except KeyboardInterrupt:
        go_on(study, tmp_path / "cut", world, monkeypatch)
    gists = []
    for workspace in (uncut / "whole", tmp_path / "cut"):
        with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
            session = ledger.sessions()[0]
            rows = [(d.status, d.reason, d.row.get("delta"), d.row.get("error_spent")) for d in ledger.decisions()]
            checks = [(c.kind, c.data.get("verdict"), c.data.get("moves")) for c in ledger.checks(session)]
            gists.append((rows, checks, sorted(probe.id for probe in ledger.probes(session))))
    assert gists[0] == gists[1]
    assert len([probe for probe in ran if probe]) == len(gists[0][2])


def test_an_incumbent_that_fails_under_one_seed_is_measured_under_another(tmp_path: Path) -> None:
    """A baseline that diverges once in a while neither ends the night nor becomes a zero."""
    study = study_of(tmp_path, "disguised = 0.0\nholdout_seeds = 0", "decisions = 4")

    class Fragile(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
            lost = probe.recipe == study.start and probe.seed not in study.file.probe.seeds and probe.seed % 4 == 0
            return None if lost else super().scores(probe, prompts)

    play(study, tmp_path, Fragile(order_helps, 0.3))
    assert len(recorded(tmp_path)) == 4
    assert not [decision for decision, _ in recorded(tmp_path) if decision.status == "CRASH"]


def test_a_candidate_of_which_too_little_was_shown_is_tried_again_on_other_seeds(tmp_path: Path) -> None:
    """Four moves and twelve turns: none is better, so each comes back, and never under seeds that it has had."""
    study = study_of(tmp_path, "disguised = 0.0\nholdout_seeds = 0", "decisions = 12", orders=True)
    play(study, tmp_path, EffectWorld(lambda recipe, split: 0.0, 0.5))
    seeds: dict[str, list[int]] = {}
    reasons: dict[str, list[str]] = {}
    for decision, proposal in recorded(tmp_path):
        assert decision.course is not None
        seeds.setdefault(proposal.child, []).extend(seed for _, seed in decision.course["seeds"]["screening"])
        reasons.setdefault(proposal.child, []).append(decision.reason)
    assert max(len(own) for own in reasons.values()) > 1
    assert all(len(own) == len(set(own)) for own in seeds.values())
    assert all(reason in UNDECIDED for own in reasons.values() for reason in own[:-1])
    assert max(len(own) for own in reasons.values()) <= MOST_TRIES


def test_a_move_that_did_harm_is_not_made_again_after_a_keep(tmp_path: Path) -> None:
    def order_or_harm(recipe: Recipe, split: str) -> float:
        return order_helps(recipe, split) - 3.0 * (recipe.mixture != study.start.mixture)

    study = study_of(tmp_path, "disguised = 0.0\nholdout_seeds = 0", "decisions = 40")
    play(study, tmp_path, EffectWorld(order_or_harm))
    pairs = recorded(tmp_path)
    assert any(decision.status == "KEEP" for decision, _ in pairs)
    assert {d.course["account"]["move"] is not None for d, _ in pairs if d.course} == {True}
    harmful = [(p.knob, str(p.before), str(p.after)) for d, p in pairs if d.reason.partition(":")[0] in HARM]
    assert harmful
    assert len(harmful) == len(set(harmful))


def test_what_goes_further_the_way_of_a_broken_guard_is_not_tried_in_that_session(tmp_path: Path) -> None:
    class Guarded(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]]:
            found = super().scores(probe, prompts) or []
            change = (
                {"lists": 1.0, "arithmetic": -3.0} if probe.recipe.learning_rate > study.start.learning_rate else {}
            )
            return [[v + change.get(p.category, 0.0) for v in own] for own, p in zip(found, prompts, strict=True)]

    study = study_of(tmp_path, "disguised = 0.3\nholdout_seeds = 0", "decisions = 40")
    play(study, tmp_path, Guarded(lambda recipe, split: 0.0))
    tried = [(proposal, decision) for decision, proposal in recorded(tmp_path) if proposal.knob == "learning_rate"]
    broken = [(float(str(p.after)), p.turn) for p, d in tried if d.reason.startswith("guard:")]
    assert broken
    for rate, turn in broken:
        assert not [p for p, _ in tried if p.turn > turn and float(str(p.after)) >= rate]
    aa_tests = [d.course for d, p in recorded(tmp_path) if p.lane == CALIBRATION]
    assert aa_tests
    assert all(course is not None and course["account"]["move"] for course in aa_tests)
