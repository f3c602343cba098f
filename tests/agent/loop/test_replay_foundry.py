"""A night that was really run elsewhere, replayed: 300-step probes of one baseline and five changes, none of them kept.

Figures only: category and overall means as they were published, on 14 probe prompts whose scores swing by 3 to 8 points
between runs. Which prompts swing how, and that there are three runs a side, is made up here; one run a side is refused.
"""

import random
from pathlib import Path
from statistics import fmean

import pytest

from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.confirmation import ConfirmationInputs, RuleTerms, look
from agent.policy.settings import PolicySettings
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from common.errors import BadInput, UnlikeReadings
from probes.result.comparison import OVERALL, compare
from probes.result.reading import ProbeKey, Reading, Score, Timing
from testing import simulated_study

KEY = ProbeKey(
    steps=300, base="qwen3-32b", data="v6", prompts="probe-prompts", scorer="judge", samples=1, environment="a100"
)
SEEDS = (42, 123, 7)
TARGET, OTHERS = "ground_truth", "the_others"
SWINGS = {TARGET: (2.2, 2.2, -4.4), OTHERS: (2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.0, -3.0, -3.0, -3.0, -3.0)}

# recipe -> (mean in the target, overall)
BASELINE = (7.79, 7.77)
CHANGES = {
    "source_first": (7.57, 7.10),
    "learning_rate 2.2e-5": (7.38, 7.50),
    "beta 0.12": (7.31, 6.57),
    "gt_focus_baseline": (7.00, 7.68),
    "learning_rate 1.8e-5": (5.91, 6.69),
}


def readings(recipe: str, target: float, overall: float) -> list[Reading]:
    """Three runs of a recipe with these means; which prompt does well in which run is drawn by chance."""
    sizes = {name: len(swings) for name, swings in SWINGS.items()}
    others = (overall * sum(sizes.values()) - target * sizes[TARGET]) / sizes[OTHERS]
    found = []
    for seed in SEEDS:
        scores: list[Score] = []
        for category, mean in ((TARGET, target), (OTHERS, others)):
            swings = random.Random(f"{recipe} {seed} {category}").sample(SWINGS[category], sizes[category])
            scores += [Score(f"{category}-{n}", 0, category, mean + swing, {}) for n, swing in enumerate(swings)]
        assert all(0 <= score.value <= 10 for score in scores)
        found.append(
            Reading(
                probe=f"{recipe}{seed}",
                recipe=recipe,
                key=KEY,
                seed=seed,
                scores=tuple(scores),
                final={},
                timing=Timing(1, 1, 1, 3),
                tokens=1,
                peak_gb=1.0,
            )
        )
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_each_of_the_five_changes_is_discarded_with_the_published_figures(change: str) -> None:
    target, overall = CHANGES[change]
    comparison = compare(readings(change, target, overall), readings("baseline", *BASELINE))
    effect = comparison.differences[TARGET]
    assert effect.delta == pytest.approx(target - BASELINE[0])
    assert comparison.differences[OVERALL].delta == pytest.approx(overall - BASELINE[1])
    assert effect.high - effect.low > 1  # at this noise an effect of half a point cannot be seen
    given = ConfirmationInputs(
        pairs=8, error=0.025, error_left=0.05, expected=(0.2, 0.5), guards={}, cumulative={}, spreads={}
    )
    seen, verdict = look(comparison, given, RuleTerms(PolicySettings(), TARGET, {OTHERS: 0.5}))
    assert seen.bound < 0
    assert verdict is not None, "its chance is too small to go on"
    assert verdict.status == "DISCARD"
    assert verdict.reason in ("worse", "unconfirmed")


def test_the_replay_swings_as_the_source_says() -> None:
    runs = readings("baseline", *BASELINE)
    assert fmean(run.mean(TARGET) for run in runs) == pytest.approx(BASELINE[0])
    assert fmean(run.mean() for run in runs) == pytest.approx(BASELINE[1])
    spans = [max(own) - min(own) for own in zip(*((s.value for s in run.scores) for run in runs), strict=True)]
    assert all(span <= 8 for span in spans)
    assert max(spans) >= 3


def test_one_run_a_side_as_in_the_source_gives_no_interval_and_is_refused() -> None:
    with pytest.raises(UnlikeReadings, match="two or more seeds"):
        compare(readings("beta 0.12", *CHANGES["beta 0.12"])[:1], readings("baseline", *BASELINE)[:1])


def test_the_prompt_set_without_the_guarded_category_is_refused_before_anything_starts(tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace('category = "lists"', f'category = "{TARGET}"')
    text = text.replace("arithmetic = 1.5", "private_voice = 0.5\nposition_discrimination = 0.5")
    path = simulated_study.write_study(tmp_path, text)
    counts = {"anachronism_trap": 2, "character_consistency": 3, TARGET: 3, "private_voice": 3, "verified_response": 3}
    rows = [
        {
            "id": f"{name}-{n}",
            "split": "probe",
            "category": name,
            "prompt": f"{name} {n}?",
            "checks": simulated_study.prompts()[0]["checks"],
        }
        for name, number in counts.items()
        for n in range(number)
    ]
    assert len(rows) == 14
    simulated_study.write_jsonl(tmp_path / "prompts.jsonl", rows)
    refusal = "no probe prompt in the category 'position_discrimination'"
    with pytest.raises(BadInput, match=refusal):
        load_study(path).check_material()
    workspace = Workspace(tmp_path / "workspace")
    with pytest.raises(BadInput, match=refusal):
        begin(load_study(path), workspace, Overrides(), None, lambda *_: path)  # type: ignore[arg-type]
    assert not workspace.ledger.exists()
