"""The figures of hand-made nights, the intervals, and the command around them."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.decisions import command, play
from bench.decisions.figures import NO_EFFECT, by_family, figures, mean, proportion, rate
from bench.decisions.play import NULL, Cell, Nights
from bench.decisions.record import DecisionEvent, NightRecord, stands
from bench.decisions.table import Results, markdown, targets
from common.errors import BadInput


def keep(spent: float, gain: float, level: float, guard: float = 0.0, claimed: float | None = None) -> DecisionEvent:
    return DecisionEvent(spent=spent, kind="keep", claimed=claimed, gain=gain, guard=guard, level=level)


def night(
    *events: DecisionEvent, number: int = 0, family: str = "smooth", headroom: float = 1.0, missed: int = 0
) -> NightRecord:
    return NightRecord(
        policy="somebody",
        family=family,
        number=number,
        budget=100,
        spent=100,
        headroom=headroom,
        missed=missed,
        events=events,
    )


GOOD = night(keep(20, 0.5, 0.5, claimed=0.7), keep(60, 0.0, 0.5, claimed=0.1), missed=2)
BAD = night(keep(50, -0.4, -0.4, guard=-0.9), number=1)
IDLE = night(number=2)


def test_keeps_are_counted_by_their_truth() -> None:
    found = figures("somebody", "smooth", [GOOD, BAD, IDLE])
    assert found.keeps.value == 1
    assert (found.null.value, found.harmful.value) == pytest.approx((2 / 3, 1 / 3))
    assert found.violations.value == pytest.approx(1 / 3)
    assert found.missed.value == pytest.approx(2 / 3)
    assert found.ends_worse.value == pytest.approx(1 / 3)
    assert found.any_keep.value == pytest.approx(2 / 3)
    assert found.claim_error.value == pytest.approx(0.15)
    assert found.claim_error.n == 2


def test_what_is_won_is_followed_over_the_night() -> None:
    assert GOOD.area == pytest.approx(0.5 * 0.8)
    assert BAD.area == pytest.approx(-0.4 * 0.5)
    found = figures("somebody", "smooth", [GOOD])
    assert found.won.value == 0.5
    assert found.curve == pytest.approx((0, *[0.5] * 9))


def test_a_keep_that_was_taken_back_counts_as_made_only() -> None:
    events = [
        DecisionEvent(spent=1, kind="keep", claimed=None, gain=0.3, guard=0.0, level=0.3, moved={"beta": (0.1, 0.2)}),
        DecisionEvent(
            spent=2, kind="keep", claimed=None, gain=-0.5, guard=0.0, level=-0.2, moved={"warmup": (0.1, 0.2)}
        ),
        DecisionEvent(spent=3, kind="keep", claimed=None, gain=0.1, guard=0.0, level=-0.1, moved={"beta": (0.2, 0.3)}),
        DecisionEvent(
            spent=4, kind="retract", claimed=None, gain=0.5, guard=0.0, level=0.4, moved={"warmup": (0.2, 0.1)}
        ),
    ]
    marked = stands(events, {"beta": 0.3, "warmup": 0.1})
    assert [event.standing for event in marked] == [True, False, True, False]
    found = figures("somebody", "smooth", [night(*marked)])
    assert (found.keeps.value, found.made.value) == (2, 3)
    assert (found.harmful.value, found.harmful_made.value) == pytest.approx((0, 1 / 3))
    assert found.won.value == pytest.approx(0.4)


def test_a_family_played_more_often_counts_no_more_in_the_pool() -> None:
    nights = [night(keep(1, 1.0, 1.0))] + [night(family="null", headroom=0, number=n) for n in range(5)]
    whole = {f.family: f for f in by_family(nights)}
    assert whole["pooled"].nights == 2
    assert whole["pooled"].won.value == 1
    assert whole["null"].nights == 5
    assert math.isnan(whole["null"].won.value)


def test_intervals_are_those_of_the_textbook() -> None:
    assert (proportion(0, 100).low, proportion(0, 100).high) == pytest.approx((0, 0.0370), abs=1e-4)
    assert (proportion(5, 10).low, proportion(5, 10).high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert rate(0, 100).high == pytest.approx(0.0369, abs=1e-4)
    assert (rate(3, 1).low, rate(3, 1).high) == pytest.approx((0.6187, 8.7673), abs=1e-3)
    assert (mean([1, 2, 3]).low, mean([1, 2, 3]).high) == pytest.approx((-0.4841, 4.4841), abs=1e-3)


def test_targets_say_what_is_met_and_compare_with_rivals_that_are_safe() -> None:
    def nights(policy: str, gain: float, false: bool) -> list[NightRecord]:
        null = (keep(1, 0.0, 0.0),) if false else ()
        return [
            NightRecord(
                policy=policy,
                family="smooth",
                number=0,
                budget=200,
                spent=200,
                headroom=1.0,
                missed=0,
                events=(keep(1, gain, gain),),
            ),
            NightRecord(
                policy=policy, family="null", number=0, budget=200, spent=200, headroom=0.0, missed=0, events=null
            ),
        ]

    rivals = nights("careful", 0.5, False) + nights("rash", -0.1, True) + nights("oracle", 1.0, False)
    result = Results(play.MAIN, tuple(by_family(nights("nightlane", 0.6, True) + rivals)))
    found = {target.name: target for target in targets([result])}
    where = ", 200 probes"
    assert found["harmful KEEP rows" + where].met
    assert not found["null nights with a KEEP" + where].met
    assert not found["headroom won, pooled" + where].met  # 0.60 of 0.85
    assert found["more than every rival as safe" + where].wanted == "> 0.50 (careful)"
    assert found["more than every rival as safe" + where].met
    assert "| null nights with a KEEP, 200 probes | <= 5% | 1.00 |" in "\n".join(markdown([result]))


def test_a_kept_stack_counts_as_a_row_for_each_of_its_members() -> None:
    stack = DecisionEvent(spent=9, kind="keep", claimed=None, gain=0.5, guard=0.0, level=0.5, members=(0.6, 0.0, -0.1))
    found = figures("somebody", "smooth", [night(stack)])
    assert found.keeps.value == 1
    assert (found.null.value, found.harmful.value) == pytest.approx((2 / 3, 1 / 3))
    assert found.null.n == 3


def test_nights_without_an_effect_are_pooled_over_their_families() -> None:
    false = night(keep(9, 0.0, 0.0), family="unequal_null", headroom=0)
    found = by_family([night(family="null", headroom=0), false, night(keep(1, 1.0, 1.0))])
    null = next(own for own in found if own.family == NO_EFFECT)
    assert (null.nights, null.any_keep.value) == (2, 0.5)


def test_budgets_are_read_from_the_option_and_others_are_refused() -> None:
    assert command.budgets_of(None, play.BUDGETS) == play.BUDGETS
    assert command.budgets_of("48,24,48", play.BUDGETS) == (48, 24)
    for wrong in ("", "many", "4", "24;48"):
        with pytest.raises(BadInput, match="--probes takes whole numbers"):
            command.budgets_of(wrong, play.BUDGETS)
    assert {cell.budget for cell in play.full((24, 48))} == {24, 48}
    assert {cell.budget for cell in play.full((24, 96)) if cell.factor == 0.5} == {24}


def test_a_cell_says_how_many_nights_each_policy_plays() -> None:
    cell = Cell(1.0, 0.5, 4, Nights(3, 5), Nights(2, 1), Nights(1, 4), budget=48)
    counts = Counter((task.policy, task.family) for task in play.tasks([cell]))
    assert (counts["nightlane", "smooth"], counts["nightlane", "null"]) == (3, 5)
    assert (counts["no_model", "smooth"], counts["no_model", "null"]) == (2, 1)
    assert (counts["race", "smooth"], counts["race", "null"]) == (1, 4)
    assert counts["gp_sampler", "smooth"] == 2
    assert not any(task.policy == "gp_sampler" for task in play.tasks([replace(cell, budget=49)]))


def test_the_whole_benchmark_has_300_nights_without_an_effect_and_a_night_of_every_policy_at_each_budget() -> None:
    for budget in play.BUDGETS:
        cell = next(cell for cell in play.full(play.BUDGETS) if cell.budget == budget and cell.factor == 1.0)
        counts = Counter((task.policy, task.family) for task in play.tasks([cell]))
        assert sum(counts["nightlane", family] for family in NULL) >= 300
        slow = {name for name, most in play.SLOW.items() if budget > most}
        assert {policy for policy, family in counts if family == "smooth"} == set(play.policies()) - slow


MODULE = """
from dataclasses import dataclass, field
from bench.decisions.night import Landscape, Lanes
from lanes import LaneSettings

@dataclass(frozen=True, kw_only=True)
class Warm(Landscape):
    family: str = "warm"
    lanes: Lanes = field(default_factory=lambda: {"hyperparameters": LaneSettings.model_validate({"warmup": {}})})

    def effect(self, recipe, category):
        return 2 * recipe.warmup - 0.2

def warm(night):
    return Warm()

several = (warm,)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_landscapes.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_landscapes_of_somebody_else_are_played_instead(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "quick", lambda budgets: [Cell(1.0, 0.5, 4, Nights(1), rivals=Nights(1), budget=60)])
    monkeypatch.setattr(play, "_own", list)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert command.main(True, True, "own_landscapes:several", own / "out") == 0
    data = json.loads(capsys.readouterr().out)
    assert {row["family"] for row in data["cells"][0]["figures"]} == {"warm", "pooled"}
    oracle = next(row for row in data["cells"][0]["figures"] if row["policy"] == "oracle")
    assert oracle["won"]["value"] == 1
    assert json.loads((own / "out/decisions.json").read_text())["cells"] == data["cells"]
    assert "| oracle |" in (own / "out/decisions.md").read_text()


def test_landscapes_that_cannot_be_loaded_are_refused_with_the_remedy() -> None:
    with pytest.raises(BadInput, match="MODULE:NAME"):
        play.families("no_such_module:thing")


@pytest.mark.long
def test_nights_are_the_same_in_other_processes(own: Path) -> None:
    wanted = [
        task
        for task in play.tasks([Cell(1.0, 0.5, 4, Nights(1), rivals=Nights(1))], "own_landscapes:warm")
        if task.policy in ("race", "random")
    ]
    alone = [play.play(task) for task in wanted]
    beside = [record for _, record in play.played(wanted, processes=2)]
    assert [record.events for record in alone] == [record.events for record in beside]
