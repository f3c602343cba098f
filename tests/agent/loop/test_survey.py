"""The survey: what it plans, what it leaves in the ledger, what it tells, and that nothing of it decides."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import situations
from worlds import go_on, looks, play, recorded, study_of

from agent.ledger.store import Ledger
from agent.ledger.tables import CheckRow
from agent.loop.noise_floor import settle_noise_floor
from agent.loop.survey import SURVEY, drawn, legal, near, surveyed
from agent.policy.decision_rule import Terms, expect
from agent.policy.effect_model import Move, Response, Seen
from agent.policy.session_statistics import Knowledge
from agent.policy.settings import Policy
from agent.study.schema import Budget
from agent.workspace.folder import Workspace
from common.errors import MissingRequirement
from lanes import Recipe, SearchSpace, Value
from probes.result.reading import Failure, Outcome, Probe, ProbeKey, Reading, Score, Timing
from probes.result.variance_pooling import Spread
from probes.run.protocol import Listener
from testing.simulated_runner import EffectWorld, SimulatedRunner
from view.data.session_record import load_record
from view.data.survey import survey_figures
from view.report.report import report_markdown

pytestmark = pytest.mark.in_memory

SPACE = situations.space()
START = situations.start()


def chance(seed: int = 0) -> numpy.random.Generator:
    return numpy.random.default_rng(seed)


def test_the_first_wave_takes_every_nearest_move_about_as_often() -> None:
    rows = near(SPACE, START, 24, chance())
    for name in SPACE.moves(START):
        taken = Counter(row[name] for row in rows)
        assert max(taken.values()) - min(taken.values()) <= 1, name
    knob = SPACE.knob("learning_rate")
    places = {float(knob.place(row["learning_rate"] or 0.0)) - float(knob.place(1e-4)) for row in rows}
    assert places == {-1.0, 1.0}
    assert {row["scheduler"] for row in rows} == {None, *SPACE.moves(START)["scheduler"]}
    assert [list(row) for row in rows] != [list(rows[0])] * 24, "no knob is always first where two cannot move together"


def test_later_waves_go_where_the_first_has_shown_a_gain_and_leave_alone_what_harms() -> None:
    knob = SPACE.knob("beta")
    here = float(knob.place(0.1))
    gains = {1: 0.8, 2: 1.2, -1: -0.8}
    seen = [Seen((Move("beta", here, here + step),), gain, 0.01, None) for step, gain in gains.items()]
    rows = drawn(SPACE, START, 40, chance(), Response(tuple(seen)))
    taken = Counter(row["beta"] for row in rows)
    assert taken[0.2] > 30
    harm = [Seen((Move("beta", here, here + step),), -1.0, 0.01, None) for step in (-1, 1, 2)]
    rows = drawn(SPACE, START, 40, chance(), Response(tuple(harm)))
    assert Counter(row["beta"] for row in rows)[None] > 30


def test_mutations_that_undo_each_other_or_are_illegal_together_are_left_out() -> None:
    both: dict[str, Value | None] = {"manifest": "good_only", "weight.broken": 1.5, "beta": 0.15, "lora_rank": None}
    space = situations.space({**situations.LANES, "mixture": {"share": 1.0, "manifest": True, "weights": True}})
    made = legal(space, START, both)
    assert [one.knob for one in made] == ["manifest", "beta"]
    other = legal(space, START, dict(reversed(both.items())))
    assert [one.knob for one in other] == ["beta", "weight.broken"]
    assert all(one.before == space.knob(one.knob).read(START) for one in (*made, *other))
    assert legal(space, START, {"beta": 77.0}) == ()


def test_a_move_that_has_no_effect_beside_the_others_is_left_out() -> None:
    settings = {**situations.LANES["hyperparameters"], "warmup": {"low": 0.0, "high": 0.2, "step": 0.05}}
    space = situations.space({**situations.LANES, "hyperparameters": settings})
    values = [value for value in space.moves(START)["warmup"] if value != 0.0]
    made = legal(space, START, {"warmup": values[0], "scheduler": "constant"})
    assert [one.knob for one in made] == ["scheduler"], "a constant rate has no warmup"


def test_several_moves_at_once_are_the_sum_of_their_effects() -> None:
    one, other = Move("beta", 5.0, 6.0), Move("warmup", 5.0, 6.0)
    response = Response((Seen((one, other), 1.0, 0.04, None),))
    prior = [2 * s**2 * (1 - numpy.exp(-0.5 / long**2)) for long, s in response.scales.values()]
    total = sum(prior) + 0.04
    for move, own in zip((one, other), prior, strict=True):
        mean, variance = response.of(move)
        assert mean == pytest.approx(own / total, rel=1e-6)
        assert variance == pytest.approx(own - own**2 / total, rel=1e-6)


def additive(gains: dict[str, dict[object, float]]) -> EffectWorld:
    def effect(recipe: Recipe, split: str) -> float:
        return sum(worth.get(getattr(recipe, name), 0.0) for name, worth in gains.items())

    return EffectWorld(effect, 0.3)


GAINS: dict[str, dict[object, float]] = {
    "curriculum": {"easy_first": 0.6, "short_first": -0.6},
    "learning_rate": {2e-4: 0.5, 4e-4: 0.8, 5e-5: -0.6},
}


def taken(workspace: Path) -> dict[str, list[CheckRow]]:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        return {name: ledger.checks(name, SURVEY) for name in ledger.sessions()}


def test_a_session_surveys_first_then_confirms_what_that_lets_expect_and_nothing_of_it_is_a_decision(
    tmp_path: Path,
) -> None:
    study = study_of(tmp_path, "disguised = 0.0\nsurvey = 40", "decisions = 18")
    session = play(study, tmp_path, additive(GAINS))
    rows = taken(tmp_path)[session]
    assert 34 <= len(rows) <= 40
    assert len({check.data["seed"] for check in rows}) == 5
    assert max(len(check.data["moves"]) for check in rows) >= 3
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        probes = ledger.probes(session)
        measured = {probe.id for probe in probes[:3]}
        assert len(measured) == 3
        proposals = ledger.proposals()
    assert {decision.turn for decision, _ in recorded(tmp_path)} == {row.turn for row in proposals}
    kept = {proposal.knob for decision, proposal in recorded(tmp_path) if decision.status == "KEEP"}
    assert kept >= {"curriculum", "learning_rate"}
    unscreened = [looks(decision) for decision, _ in recorded(tmp_path) if looks(decision)[0]["stage"] == "expectation"]
    assert unscreened
    for found in unscreened:
        assert [look["pairs"] for look in found][:2] == [0, 2]
        assert all(look["stage"] == "confirmation" for look in found[1:])


def test_a_second_session_under_the_question_reads_the_first_ones_survey_and_takes_none(tmp_path: Path) -> None:
    study = study_of(tmp_path, "disguised = 0.0\nsurvey = 21\nholdout_seeds = 0", "decisions = 9")
    first = play(study, tmp_path, additive(GAINS))
    second = play(study, tmp_path, additive(GAINS))
    rows = taken(tmp_path)
    assert rows[first]
    assert not rows[second]
    records = [load_record(Workspace(tmp_path), session) for session in (first, second)]
    assert len(records[1].surveyed.rows) == len(rows[first]) == len(records[0].surveyed.rows)
    assert survey_figures(records[0]) is not None
    assert survey_figures(records[1]) is None


def test_a_recipe_of_a_survey_that_fails_tells_nothing_and_ends_nothing(tmp_path: Path) -> None:
    class Fragile(EffectWorld):
        def scores(self, probe: Probe, prompts: object) -> list[list[float]] | None:
            return None if probe.recipe.curriculum == "short_first" else super().scores(probe, prompts)  # type: ignore[arg-type]

    study = study_of(tmp_path, "disguised = 0.0\nsurvey = 30\nholdout_seeds = 0", "decisions = 14")
    session = play(study, tmp_path, Fragile(additive(GAINS).effect, 0.3))
    failed = [check for check in taken(tmp_path)[session] if check.data["failure"]]
    assert failed
    assert all(check.data["differences"] == {} for check in failed)
    record = load_record(Workspace(tmp_path), session)
    assert len(record.surveyed.of("lists")) == len(record.surveyed.rows) - len(failed)
    told = report_markdown(record)
    assert f"of which {len(failed)} failed" in told
    assert "| `curriculum`" in told


def test_a_machine_that_fails_ends_the_session_resumably_and_uses_up_no_survey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, "disguised = 0.0\nholdout_seeds = 0\nsurvey = 21", "decisions = 9")
    original, broken = SimulatedRunner._run_one, [True]

    def fail(self: SimulatedRunner, probe: Probe, listener: Listener) -> Outcome:
        if broken[0] and probe.recipe.digest != study.start.digest:
            return Failure(probe.id, probe.seed, "server", "nobody answers")
        return original(self, probe, listener)

    monkeypatch.setattr(SimulatedRunner, "_run_one", fail)
    with pytest.raises(MissingRequirement, match=r"every probe of a survey's wave failed .*server, nobody answers"):
        play(study, tmp_path, additive(GAINS))
    ((session, rows),) = taken(tmp_path).items()
    assert rows == []
    broken[0] = False
    go_on(study, tmp_path, additive(GAINS), monkeypatch)
    assert len(taken(tmp_path)[session]) >= 18


def reading(seed: int) -> Reading:
    key = ProbeKey(1, "b", "d", "p", "s", 1, "e")
    return Reading(
        probe="probe",
        recipe="recipe",
        key=key,
        seed=seed,
        scores=(Score("p", 0, "lists", 5.0, {}),),
        final={},
        timing=Timing(20, 5, 5, 30),
        tokens=1,
        peak_gb=0.1,
    )


def test_choices_are_not_surveyed() -> None:
    """They are on another scale than scores, which is what a survey compares."""
    readings = [reading(seed) for seed in (1, 2)]
    quiet = settle_noise_floor(readings, None, Policy(), Budget(), 1, None, knobs=0)
    assert (quiet.survey, "survey" in quiet.why) == (0, False)
    assert settle_noise_floor(readings, None, Policy(), Budget(), 1, None, knobs=7).survey == Policy().survey


def test_dollars_bound_a_survey_as_hours_do() -> None:
    readings = [reading(seed) for seed in (1, 2)]
    hours = settle_noise_floor(readings, None, Policy(), Budget(hours=0.5), 1, None, knobs=6)
    dollars = settle_noise_floor(
        readings, None, Policy(), Budget(hours=None, dollars=1.0, dollars_per_hour=2.0), 1, None, knobs=6
    )
    assert hours.survey == dollars.survey == 18
    short = settle_noise_floor(readings, None, Policy(), Budget(hours=0.5), 1, None, knobs=7)
    assert (short.survey, "survey" in short.why) == (0, False), "18 recipes cannot tell seven knobs apart"


def test_what_a_guard_is_likely_to_break_by_is_screened_however_promising() -> None:
    move = Move("beta", 5.0, 6.0)
    good, bad = (Response((Seen((move,), delta, 0.01, None),)) for delta in (2.0, -2.0))
    spreads = {"lists": Spread(0.01, 9.0), "strings": Spread(0.01, 9.0)}
    terms = Terms(Policy(), "lists", {"strings": 0.3}, 8)
    calm, feared = (
        Knowledge(spreads, 0.25, 0.05, response=good, guard_responses={"strings": guard}, move=move)
        for guard in (good, bad)
    )
    look = expect(terms, calm)
    assert look is not None
    assert (look.stage, look.pairs) == ("expectation", 0)
    assert expect(terms, feared) is None
    assert expect(terms, replace(calm, move=Move("beta", 5.0, 7.0))) is None, "nothing was measured there"


def test_a_budget_too_small_for_a_whole_survey_has_a_shorter_one(tmp_path: Path) -> None:
    study = study_of(tmp_path, "disguised = 0.0\nholdout_seeds = 0\nsurvey = 60", "probes = 80")
    session = play(study, tmp_path, additive(GAINS))
    assert 20 <= len(taken(tmp_path)[session]) <= 24
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        assert len(ledger.probes(session)) <= 80
        assert "a survey of 24: three tenths of the 80 probes" in ledger.checks(session, "floor")[0].data["why"]


def test_rows_of_a_knob_that_the_study_has_no_more_are_not_read() -> None:
    moves = [{"knob": "beta", "before": 0.1, "after": 0.2}, {"knob": "gone", "before": 1, "after": 2}]
    told = {"differences": {"lists": [0.5, 0.01]}, "freedom": {"lists": 2.0}}
    rows = [
        CheckRow(session="night", kind=SURVEY, subject=str(place), time="", data={"moves": chosen, "seed": 1, **told})
        for place, chosen in enumerate([moves, moves[:1]])
    ]
    found = surveyed(rows, SPACE, ["lists", "arithmetic"])
    (seen,) = found.of("lists")
    assert [move.knob for move in seen.moves] == ["beta"]
    assert (seen.delta, seen.variance, found.of("arithmetic")) == (0.5, 0.01, ())


@pytest.mark.parametrize("told", [0.0225, 0.09, 0.36])
def test_repeats_that_were_lucky_are_corrected_by_what_the_rows_show(told: float) -> None:
    """Of 36 rows with noise of 0.3, whose variance two degrees of freedom told four times too small or too large."""
    names, luck = ("learning_rate", "beta", "lora_rank"), numpy.random.default_rng(7)
    rows = []
    for place, plan in enumerate(near(SPACE, START, 36, luck)):
        made = [one for one in legal(SPACE, START, plan) if one.knob in names]
        moved = [situations_move(SPACE, one.knob, one.after) for one in made]
        true = sum(0.15 * (float(move.after) - float(move.before)) for move in moved)
        moves = [{"knob": one.knob, "before": one.before, "after": one.after} for one in made]
        differences = {"lists": [true + float(luck.normal(0, 0.3)), told]}
        data = {"moves": moves, "seed": place, "differences": differences, "freedom": {"lists": 2.0}}
        rows.append(CheckRow(session="night", kind=SURVEY, subject=str(place), time="", data=data))
    variances = {seen.variance for seen in surveyed(rows, SPACE, ["lists"]).of("lists")}
    assert len(variances) == 1
    assert 0.045 <= variances.pop() <= 0.18
    few = surveyed(rows[:5], SPACE, ["lists"])
    assert {seen.variance for seen in few.of("lists")} == {told}, "five rows cannot tell"


def test_a_survey_tells_more_of_all_knobs_than_as_many_probes_that_move_one_each() -> None:
    """Which way each of three knobs should go, from 20 probes: how often right, over 30 worlds."""
    names = ("learning_rate", "beta", "lora_rank")
    right = {"survey": 0, "one at a time": 0}
    for world in range(30):
        luck = numpy.random.default_rng(world)
        slopes = {name: float(luck.choice([-1, 1])) * 0.12 for name in names}
        plans = near(SPACE, START, 20, luck)
        rows: dict[str, Any] = {
            "survey": [legal(SPACE, START, plan) for plan in plans],
            "one at a time": singles(SPACE, names, 20),
        }
        for way, chosen in rows.items():
            seen = []
            for made in chosen:
                moves = tuple(situations_move(SPACE, one.knob, one.after) for one in made if one.knob in names)
                true = sum(slopes[move.knob] * (float(move.after) - float(move.before)) for move in moves)
                seen.append(Seen(moves, true + float(luck.normal(0, 0.3)), 0.09, None))
            response = Response(tuple(seen))
            for name in names:
                here = float(SPACE.knob(name).place(SPACE.knob(name).read(START)))
                up, down = (response.of(Move(name, here, here + step))[0] for step in (1, -1))
                right[way] += (up > down) == (slopes[name] > 0)
    assert right["survey"] > right["one at a time"] + 5
    assert right["survey"] > 75


def situations_move(space: SearchSpace, name: str, value: Value) -> Move:
    knob = space.knob(name)
    return Move(name, knob.place(knob.read(START)), knob.place(value))


def singles(space: SearchSpace, names: tuple[str, ...], number: int) -> list[tuple[object, ...]]:
    steps = [(name, value) for name in names for value in space.moves(START)[name][:2]]
    return [legal(space, START, {name: value}) for name, value in (steps[n % len(steps)] for n in range(number))]
