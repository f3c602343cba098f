"""Waves, confirmations and what follows from them in whole sessions, in worlds whose truth is known."""

import math
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import pytest
from long_cases import all_but
from nights import Silent, hasty
from worlds import adding, confirmed, designs, go_on, play, recorded, runner_of, small_study, stack_of, study_of

from agent.ledger.results.rows import value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import STACK, WAVE
from agent.loop.seeds import Seeds
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.search_parts import SearchParts
from agent.policy.settings import PolicySettings
from agent.proposers.context import CALIBRATION
from agent.study.load import Study
from agent.workspace.folder import Workspace
from common.errors import MissingRequirement
from lanes import Recipe
from probes.endpoint.spending import Allowance
from probes.inputs.prompts import Prompt
from probes.result.reading import Failure, Outcome, Probe
from probes.run.protocol import Listener, OnOutcome, ignore_outcome
from testing.simulated_runner import EffectWorld, SimulatedRunner
from view.report.report import write_report

HELPS = adding(learning_rate={2e-4: 0.8, 5e-5: -0.8}, curriculum={"easy_first": 0.6, "hard_first": -0.6})
UNLIMITED = "decisions = 40"


@pytest.fixture
def short_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session without a limit of probes plans each stack within 24."""
    monkeypatch.setattr("agent.loop.nodes.MOST_PROBES", 24)


def all_have_rows(workspace: Path) -> bool:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        return all(ledger.decision(proposal.id) for proposal in ledger.proposals())


# waves and stacks


def test_a_night_looks_confirms_what_helps_and_decides_on_all_that_it_looked_at(tmp_path: Path) -> None:
    session = play(small_study(tmp_path), tmp_path, EffectWorld(HELPS))
    first, *later = designs(tmp_path, WAVE)
    assert [first.data["design"], *{wave.data["design"] for wave in later}] == ["spread", "drawn"]
    assert [wave.data["seed"] for wave in (first, *later)][:3] == [42, 123, 7], "the start's seeds come first"
    assert len({wave.data["seed"] for wave in (first, *later)}) == 1 + len(later)
    kept = {(p.knob, p.after) for d, p in recorded(tmp_path) if d.status == "KEEP"}
    assert kept == {("learning_rate", 2e-4), ("curriculum", "easy_first")}
    assert all_have_rows(tmp_path)
    carried = {name for wave in (first, *later) for made in wave.data["recipes"] for name in made["proposals"]}
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        assert carried == {proposal.id for proposal in ledger.proposals()}
        assert len(ledger.probes(session)) <= 36


def test_a_proposal_moves_one_knob_and_recipes_move_several(tmp_path: Path) -> None:
    play(small_study(tmp_path), tmp_path, EffectWorld(HELPS))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        for proposal in ledger.proposals():
            parent, child = ledger.recipe(proposal.parent), ledger.recipe(proposal.child)
            changed = [name for name in Recipe.model_fields if getattr(parent, name) != getattr(child, name)]
            assert changed == [proposal.knob]
    assert max(len(made["proposals"]) for wave in designs(tmp_path, WAVE) for made in wave.data["recipes"]) >= 3


def test_members_of_a_stack_share_its_decision_and_each_tells_its_own_effect(tmp_path: Path) -> None:
    play(small_study(tmp_path), tmp_path, EffectWorld(HELPS, 0.05))
    (members,) = confirmed(tmp_path).values()
    (check,) = designs(tmp_path, STACK)
    assert [decision.id for decision, _ in members] == check.data["members"]
    decisions = [decision for decision, _ in members]
    assert {decision.incumbent for decision in decisions} == {check.data["recipes"][0]["recipe"]}
    assert all(decision.comparison == decisions[0].comparison is not None for decision in decisions)
    assert [decision.row.get("error_spent") is not None for decision in decisions] == [True, False]
    own = {proposal.knob: decision.row["delta"] for decision, proposal in members}
    assert own["learning_rate"] == pytest.approx(0.8, abs=0.3)
    assert own["curriculum"] == pytest.approx(0.6, abs=0.3)
    assert decisions[0].row["stack_delta"] == pytest.approx(1.4, abs=0.3)


@pytest.mark.long
def test_what_could_have_been_kept_with_a_stack_that_was_is_overtaken_and_proposed_again(
    tmp_path: Path, short_stacks: None
) -> None:
    study = small_study(tmp_path, 'confirm = "single"', "decisions = 14")
    play(study, tmp_path, EffectWorld(HELPS, 0.05))
    stacks = confirmed(tmp_path)
    first, second = stacks[1][0], stacks[2][0]
    assert [decision.status for decision, _ in (first, second)] == ["KEEP", "KEEP"]
    overtaken = [p for d, p in recorded(tmp_path) if d.reason == "overtaken"]
    assert (second[1].knob, second[1].after) in {(p.knob, p.after) for p in overtaken}
    assert second[1].parent == first[0].incumbent, "the search goes on around what was kept"


@pytest.mark.long
def test_an_unconfirmed_stack_ends_no_night_and_its_members_are_tested_again_on_other_seeds(
    tmp_path: Path, short_stacks: None
) -> None:
    """Waves promise what confirmations, on other seeds, do not find."""
    study = small_study(tmp_path, "member_chance = 0.55", UNLIMITED)
    own = [*study.file.probe.seeds]

    class Promising(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]]:
            lucky = probe.seed in own and probe.recipe.learning_rate == 2e-4
            return [[value + 0.6 * lucky for value in row] for row in super().scores(probe, prompts) or []]

    play(study, tmp_path, Promising(lambda recipe, split: 0.0, 0.1))
    stacks = confirmed(tmp_path)
    assert len(stacks) >= 2
    assert {decision.status for members in stacks.values() for decision, _ in members} == {"DISCARD"}
    tests = [
        (stack_of(d).given.error, {seed for pair in stack_of(d).seeds for seed in pair})
        for d, _ in (members[0] for members in stacks.values())
    ]
    assert sum(error for error, _ in tests) <= PolicySettings().night_error
    assert all(not one & other for at, (_, one) in enumerate(tests) for _, other in tests[:at])
    again = [(p.knob, p.after) for members in stacks.values() for _, p in members]
    assert len(again) > len(set(again)), "it had too little error to be sure, and was proposed again"
    ids = [p.id for members in stacks.values() for _, p in members]
    assert len(ids) == len(set(ids))


def test_guards_add_up_over_keeps(tmp_path: Path, short_stacks: None) -> None:
    """Each of two changes costs the guard less than its margin, both together more."""

    class Guarded(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]]:
            moved = (probe.recipe.learning_rate == 2e-4) + (probe.recipe.curriculum == "easy_first")
            found = super().scores(probe, prompts) or []
            return [
                [value + moved * (1.0 if prompt.category == "lists" else -0.9) for value in own]
                for own, prompt in zip(found, prompts, strict=True)
            ]

    play(small_study(tmp_path, budget="decisions = 14"), tmp_path, Guarded(lambda recipe, split: 0.0, 0.05))
    kept = [(d, p) for d, p in recorded(tmp_path) if d.status == "KEEP"]
    assert len(kept) == 1
    other = {"learning_rate": "easy_first", "curriculum": 2e-4}[kept[0][1].knob]
    later = [d.reason for d, p in recorded(tmp_path) if p.after == other and p.parent == kept[0][0].incumbent]
    assert all(reason.partition(":")[0] in ("cumulative", "overtaken", "budget", "unpromising") for reason in later)


@pytest.mark.long
def test_the_error_before_the_first_keep_adds_up_to_the_nights_at_most(tmp_path: Path, short_stacks: None) -> None:
    little = adding(learning_rate={2e-4: 0.1}, beta={0.2: 0.1})
    play(small_study(tmp_path, "member_chance = 0.51", UNLIMITED), tmp_path, EffectWorld(little, 0.4))
    spent = [d.row.get("error_spent") or 0.0 for d, _ in recorded(tmp_path)]
    firsts = [stack_of(members[0][0]) for members in confirmed(tmp_path).values()]
    assert firsts
    assert sum(spent) == pytest.approx(sum(stack.account.error for stack in firsts))
    assert sum(spent) <= PolicySettings().night_error
    assert [stack.given.error_left for stack in firsts] == sorted((s.given.error_left for s in firsts), reverse=True)


# A/A tests


def test_aa_tests_have_their_share_of_the_probes_spend_no_error_and_are_never_kept(
    tmp_path: Path, short_stacks: None
) -> None:
    session = play(small_study(tmp_path, "disguised = 0.4", "decisions = 16"), tmp_path, EffectWorld(HELPS))
    tests = [(d, p) for d, p in recorded(tmp_path) if p.lane == CALIBRATION]
    assert tests
    for decision, proposal in tests:
        assert decision.status == "DISCARD"
        assert decision.reason in ("calibration", "false_alarm")
        assert proposal.child == proposal.parent == decision.incumbent
        assert stack_of(decision).is_aa_test
        assert not decision.row.get("error_spent")
        assert all(mine != theirs for mine, theirs in stack_of(decision).seeds)
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        probes = ledger.probes(session)
    used = sum(2 * len(stack_of(decision).seeds) for decision, _ in tests)
    assert used <= 0.4 * len(probes)


def test_an_aa_test_that_would_have_been_kept_is_a_false_alarm(tmp_path: Path, short_stacks: None) -> None:
    """Its candidate has seeds of its own: a world that favours them shows what is counted."""
    from itertools import islice

    from agent.loop.seeds import Seeds

    study = small_study(tmp_path, "disguised = 0.4", "decisions = 16")
    seeds = Seeds(study.file.probe.seeds, 0, 0)
    lucky = {seed for stack in range(1, 6) for seed in islice(seeds.aa_candidate(stack), 20)}

    class Lucky(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]]:
            found = super().scores(probe, prompts) or []
            return [[value + 2.0 * (probe.seed in lucky) for value in own] for own in found]

    play(study, tmp_path, Lucky(HELPS))
    tests = [decision for decision, proposal in recorded(tmp_path) if proposal.lane == CALIBRATION]
    assert tests
    assert {(decision.status, decision.reason) for decision in tests} == {("DISCARD", "false_alarm")}


# the end


def test_a_night_in_which_nothing_can_help_ends_before_its_budget(tmp_path: Path) -> None:
    """No recipe is left that a wave would measure."""
    lanes = "[lanes.hyperparameters]\nlearning_rate = { choices = [1e-4, 2e-4] }\nbeta = { choices = [0.1, 0.2] }\n"
    study = small_study(tmp_path, budget="probes = 60", lanes=lanes)
    session = play(study, tmp_path, EffectWorld(adding(learning_rate={2e-4: -1.0}, beta={0.2: -1.0})))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        row = ledger.session(session)
        assert row is not None
        assert row.finish_reason == "no change is likely enough to be an improvement"
        assert len(ledger.probes(session)) < 30
    assert {decision.reason for decision, _ in recorded(tmp_path)} == {"worse"}


@pytest.mark.parametrize("decisions", [1, 3])
def test_a_budget_of_decisions_is_of_proposals(tmp_path: Path, decisions: int) -> None:
    study = small_study(tmp_path, budget=f"decisions = {decisions}\nprobes = 30")
    play(study, tmp_path, EffectWorld(HELPS))
    assert len(recorded(tmp_path)) == decisions


def test_what_the_holdout_contradicts_is_retracted_and_no_longer_stands(tmp_path: Path) -> None:
    study = small_study(tmp_path, "holdout_seeds = 2", "probes = 44")
    session = play(study, tmp_path, EffectWorld(lambda r, split: HELPS(r, split) * (1 if split == "probe" else -1)))
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


def test_a_stack_whose_recipe_fails_ends_its_confirmation_with_the_first_pair(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    fresh = set(islice(Seeds(study.file.probe.seeds, 0, 0).confirming(1), 20))

    class Failing(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
            fails = probe.seed in fresh and probe.recipe != study.start
            return None if fails else super().scores(probe, prompts)

    session = play(study, tmp_path, Failing(HELPS))
    (members, *_) = confirmed(tmp_path).values()
    assert {decision.status for decision, _ in members} == {"CRASH"}
    assert stack_of(members[0][0]).given.pairs > 1
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        assert sum(probe.seed in fresh for probe in ledger.probes(session)) == 2


def test_the_checks_at_the_end_know_the_noise_that_the_keep_s_own_pairs_showed(tmp_path: Path) -> None:
    play(small_study(tmp_path, "holdout_seeds = 2", "probes = 44"), tmp_path, EffectWorld(HELPS))
    kept = [row for row, _ in recorded(tmp_path) if row.status == "KEEP"]
    stack, comparison = stack_of(kept[-1]), kept[-1].comparison
    assert comparison is not None
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        (check,) = [one for name in ledger.sessions() for one in ledger.checks(name, "holdout")]
    seen = check.data["comparison"]["differences"]["lists"]
    known, pairs = stack.given.spreads["lists"], len(comparison.seeds) - 1
    freedom = known.freedom + pairs
    variance = (known.freedom * known.variance + pairs * comparison.differences["lists"].variance) / freedom
    total = (freedom * variance + seen["variance"]) / (freedom + 1)
    assert seen["freedom"] == pytest.approx(freedom + 1)
    assert seen["standard_error"] >= (0.99 * total / 2) ** 0.5


def test_holdout_pairs_of_the_recipes_that_were_confirmed_keep_the_known_noise(tmp_path: Path) -> None:
    """Two pairs that differ by 3 points would count alone, with an interval of more than 15, if they were of other
    recipes than the one stack that was kept."""
    study = small_study(tmp_path, "holdout_seeds = 2", "probes = 44")
    first = next(Seeds(study.file.probe.seeds, 0, 0).holdout())

    class Loud(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
            found = super().scores(probe, prompts)
            less = 3.0 * (probe.key.split == "holdout" and probe.recipe != study.start and probe.seed == first)
            return [[max(score - less, 0.0) for score in scores] for scores in found] if found else found

    play(study, tmp_path, Loud(HELPS))
    kept = [row for row, _ in recorded(tmp_path) if row.status == "KEEP"]
    assert {stack_of(row).number for row in kept} == {1}
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        (check,) = [one for name in ledger.sessions() for one in ledger.checks(name, "holdout")]
    seen = check.data["comparison"]["differences"]["lists"]
    assert seen["variance"] > 3
    assert seen["freedom"] > 5
    assert seen["high"] - seen["low"] < 6


def test_a_keep_that_its_retest_contradicts_is_retracted_and_the_others_stand(tmp_path: Path) -> None:
    """The seeds with which the easy first order is left out contradict it."""
    study = small_study(tmp_path, "holdout_seeds = 2", "probes = 70")
    again = set(islice(Seeds(study.file.probe.seeds, 0, 0).leave_one_out(), 20))

    class Contradicting(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
            found, less = (
                super().scores(probe, prompts),
                probe.seed in again and probe.recipe.curriculum == "easy_first",
            )
            return [[max(score - 3.0 * less, 0.0) for score in scores] for scores in found] if found else found

    runner, parts = runner_of(study, tmp_path, Contradicting(HELPS)), SearchParts(next_step=hasty(2))
    begin(study, Workspace(tmp_path), Overrides(), Silent(), write_report, runner=runner, parts=parts)
    kept = {proposal.knob: decision for decision, proposal in recorded(tmp_path) if decision.status == "KEEP"}
    assert set(kept) == {"curriculum", "learning_rate"}
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        (back,) = [row for row in ledger.decisions() if row.status == "RETRACT"]
        checks = {one.subject: one.data for one in ledger.checks(ledger.sessions()[0], "leave_one_out")}
        stands = ledger.recipe(back.incumbent)
    assert (back.id, back.reason) == (f"{kept['curriculum'].id}-retract", "leave_one_out")
    assert {name: data["verdict"] for name, data in checks.items()} == {
        kept["curriculum"].id: "retracted",
        kept["learning_rate"].id: "holds",
    }
    assert checks[kept["curriculum"].id]["effect"] < 0 < checks[kept["learning_rate"].id]["effect"]
    assert (stands.curriculum, stands.learning_rate) == ("shuffle", 2e-4)


# failures


def test_a_recipe_that_diverges_gives_crash_rows_and_bars_what_is_suspected(tmp_path: Path) -> None:
    def cliff(recipe: Recipe, split: str) -> float | None:
        return None if recipe.learning_rate == 5e-5 else HELPS(recipe, split)

    play(small_study(tmp_path), tmp_path, EffectWorld(cliff))
    (crashed,) = [(d, p) for d, p in recorded(tmp_path) if p.after == 5e-5]
    assert (crashed[0].status, crashed[0].reason) == ("CRASH", "crash:diverged")
    assert crashed[0].comparison is None
    assert crashed[0].row.get("delta") is None
    assert any(decision.status == "KEEP" for decision, _ in recorded(tmp_path))
    moved = [made["places"]["learning_rate"] for wave in designs(tmp_path, WAVE)[2:] for made in wave.data["recipes"]]
    knob = small_study(tmp_path / "again").lanes.knob("learning_rate")
    assert moved.count(knob.place(5e-5)) == 0


def test_out_of_memory_bars_the_recipe_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, lost = SimulatedRunner._run_one, list[Probe]()

    def fail(self: SimulatedRunner, probe: Probe, listener: Listener) -> Outcome:
        if probe.recipe.beta == 0.2 and len(lost) < 2:
            lost.append(probe)
            return Failure(probe.id, probe.seed, "oom", "too large")
        return original(self, probe, listener)

    monkeypatch.setattr(SimulatedRunner, "_run_one", fail)
    session = play(small_study(tmp_path), tmp_path, EffectWorld(HELPS))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        probes = ledger.probes(session)
        later = [ledger.recipe(probe.recipe) for probe in probes if probe.id not in {one.id for one in lost}]
    assert len(lost) == 2
    assert not {probe.recipe.digest for probe in lost} & {recipe.digest for recipe in later}
    assert any(recipe.beta == 0.2 for recipe in later), "another recipe with the same change is no suspect"


@pytest.mark.parametrize("kind", ["lost_worker", "device"])
def test_a_wave_that_the_machine_fails_ends_the_session_which_goes_on_when_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    study, original = small_study(tmp_path), SimulatedRunner._run_one

    def fail(self: SimulatedRunner, probe: Probe, listener: Listener) -> Outcome:
        if probe.recipe == study.start:
            return original(self, probe, listener)
        return Failure(probe.id, probe.seed, kind, "gone")  # type: ignore[arg-type]

    with monkeypatch.context() as patched, pytest.raises(MissingRequirement, match="every probe of wave 1 failed"):
        patched.setattr(SimulatedRunner, "_run_one", fail)
        play(study, tmp_path, EffectWorld(HELPS))
    go_on(study, tmp_path, EffectWorld(HELPS), monkeypatch)
    assert {p.knob for d, p in recorded(tmp_path) if d.status == "KEEP"} == {"learning_rate", "curriculum"}
    assert not [d for d, _ in recorded(tmp_path) if d.status == "CRASH"], "it is held against no recipe"


def test_an_incumbent_that_fails_under_one_seed_is_measured_under_another(tmp_path: Path) -> None:
    study = small_study(tmp_path, budget="probes = 60")

    class Fragile(EffectWorld):
        def scores(self, probe: Probe, prompts: Sequence[Prompt]) -> list[list[float]] | None:
            lost = probe.recipe == study.start and probe.seed not in study.file.probe.seeds and probe.seed % 8 == 0
            return None if lost else super().scores(probe, prompts)

    play(study, tmp_path, Fragile(HELPS))
    members = [decision for own in confirmed(tmp_path).values() for decision, _ in own]
    assert members
    assert not [decision for decision in members if decision.status == "CRASH"]
    assert all_have_rows(tmp_path)


MIXTURE = "[lanes.mixture]\nmanifest = true\nweights = true\n"


def test_a_move_that_another_one_undoes_or_makes_inert_is_not_beside_it(tmp_path: Path) -> None:
    """A manifest sets all weights; no warmup is read where the rate is constant."""
    lanes = (
        MIXTURE + "[lanes.hyperparameters]\nscheduler = true\nwarmup = { choices = [0.05, 0.1] }\n"
        "learning_rate = { choices = [1e-4, 2e-4] }\n"
    )
    study = small_study(tmp_path, lanes=lanes, budget="probes = 40")
    play(study, tmp_path, EffectWorld(HELPS))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        proposals = {proposal.id: proposal for proposal in ledger.proposals()}
        for wave in designs(tmp_path, WAVE):
            for made in wave.data["recipes"]:
                recipe, own = ledger.recipe(made["recipe"]), [proposals[name] for name in made["proposals"]]
                mixing = [proposal for proposal in own if proposal.lane == "mixture"]
                for left_out in mixing:
                    rest = ledger.recipe(left_out.parent)
                    for proposal in mixing:
                        knob, value = study.lanes.knob(proposal.knob), value_of(proposal.after)
                        assert knob.read(recipe) == value, "nothing undoes it"
                        rest = rest if proposal is left_out else knob.write(rest, value)
                    assert rest.shares != recipe.shares, "it does something"
                assert not ("warmup" in {one.knob for one in own} and recipe.scheduler == "constant")
    assert any(proposal.knob == "manifest" for proposal in proposals.values())


# sessions after each other, and in parts


def test_a_second_session_starts_from_the_incumbent_and_reads_what_the_first_one_measured(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    play(study, tmp_path, EffectWorld(HELPS))
    stands = next(d.incumbent for d, _ in recorded(tmp_path) if d.status == "KEEP")
    second = play(study, tmp_path, EffectWorld(HELPS))
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        row = ledger.session(second)
        assert row is not None
        assert row.start == stands
        waves = ledger.checks(second, WAVE)
        earlier = {probe.seed for name in ledger.sessions()[:1] for probe in ledger.probes(name)}
        assert not earlier & {probe.seed for probe in ledger.probes(second)}
    assert {wave.data["design"] for wave in waves} <= {"drawn"}
    assert {wave.data["incumbent"] for wave in waves} <= {stands}


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    folder = tmp_path_factory.mktemp("uncut")
    study = small_study(folder, "holdout_seeds = 2", "probes = 50")
    play(study, folder / "whole", EffectWorld(HELPS), width=2)
    return study, folder / "whole"


@pytest.mark.parametrize("after", all_but([35], [1, 5, 12, 24, 35, 44]))
def test_a_session_cut_anywhere_ends_as_if_it_had_not_been(
    uncut: tuple[Study, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Baseline, waves, a confirmation, the checks at the end: the same recipes and seeds, no probe twice."""
    study, whole = uncut
    ran, original = list[str](), SimulatedRunner._run_one

    def cut(self: SimulatedRunner, probe: Probe, listener: Listener) -> Outcome:
        if len(ran) == after:
            ran.append("")
            raise KeyboardInterrupt
        ran.append(probe.id)
        return original(self, probe, listener)

    monkeypatch.setattr(SimulatedRunner, "_run_one", cut)
    try:
        play(study, tmp_path / "cut", EffectWorld(HELPS), width=2)
    except KeyboardInterrupt:
        go_on(study, tmp_path / "cut", EffectWorld(HELPS), monkeypatch)
    gists = []
    for workspace in (whole, tmp_path / "cut"):
        with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
            session = ledger.sessions()[0]
            rows = [(d.status, d.reason, d.row.get("delta"), d.row.get("error_spent")) for d in ledger.decisions()]
            made = [(c.kind, c.subject, c.data.get("verdict"), c.data.get("recipes")) for c in ledger.checks(session)]
            plain = [str(one).replace(session, "") for one in made]
            gists.append((rows, sorted(plain), sorted(probe.id for probe in ledger.probes(session))))
    assert gists[0] == gists[1]
    done = [probe for probe in ran if probe]
    assert len(done) == len(set(done)) == len(gists[0][2])


# workers


class Counting(SimulatedRunner):
    """Remembers the sizes of its batches."""

    sizes: list[int]

    def run(
        self,
        batch: Sequence[Probe],
        listener: Listener,
        keep: OnOutcome = ignore_outcome,
        allowance: Allowance | None = None,
    ) -> list[Outcome]:
        self.sizes = [*getattr(self, "sizes", ()), len(batch)]
        return super().run(batch, listener, keep, allowance)


def busy(study: Study, workspace: Path, width: int, effect: Callable[[Recipe, str], float]) -> float:
    """The share of the workers' time in which they have a probe, if all probes take as long."""
    plain = runner_of(study, workspace, EffectWorld(effect), width)
    runner = Counting(study.material, plain.store, world=plain.world, width=width)
    begin(study, Workspace(workspace), Overrides(), Silent(), write_report, runner=runner)
    return sum(runner.sizes) / sum(width * math.ceil(size / width) for size in runner.sizes)


@pytest.mark.parametrize(("width", "probes"), all_but([(2, 60)], [(2, 60), (8, 200)]))
def test_no_worker_waits(tmp_path: Path, width: int, probes: int) -> None:
    """A/A tests and the checks at the end included."""
    assert busy(study_of(tmp_path, "", f"probes = {probes}"), tmp_path, width, HELPS) >= 0.9
