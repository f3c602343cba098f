"""The probes of a list: answers are scored while the next probes are trained and asked, and nothing is mixed up."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiny

from common.errors import BudgetSpent
from probes.generate.sampled_text import SampledText
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.execute import _Group, measure
from probes.run.protocol import Progress
from probes.run.workbench import Workbench
from probes.scoring import Answer, Context, Mark, ScorerBroken

if TYPE_CHECKING:
    from probes.train.job import Trained

pytestmark = pytest.mark.usefixtures("one_thread")
LONGEST = 60


class Scored:
    """A scorer that gives each answer the training seed that its text names. ``before``: is called first with it."""

    about = "stub"

    def __init__(self) -> None:
        self.threads: list[bool] = []

    def before(self, seed: int) -> None:
        """Nothing."""

    def score(self, answers: Sequence[Answer], context: Context) -> list[Mark]:
        self.threads.append(threading.current_thread() is threading.main_thread())
        self.before(int(answers[0].text))
        return [Mark(float(answer.text)) for answer in answers]

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def bench(one_thread: None, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """A workbench that trains nothing, and whose probes answer with their seeds."""
    from probes.train.job import Diverged, Trained

    def trained(group: _Group) -> "dict[Probe, Trained | Failure]":
        found: dict[Probe, Trained | Failure] = {}
        for probe in reversed(group.probes):  # as where some borrow their adapters
            group.listener(Progress(probe.id, "training", 1, 1))
            diverged = Failure(probe.id, probe.seed, "diverged", "loss is nan")
            found[probe] = diverged if probe.seed == 9 else Trained(Path(), 0.0, 0, {"loss": 1.0})
        return found

    def sampled(group: _Group, trained: "dict[Probe, Trained]") -> Iterator[list[list[SampledText]]]:
        for probe in trained:
            if probe.seed == 8:
                raise Diverged("while it was asked")
            yield [[SampledText(str(probe.seed), "stop", 1)] * 2] * len(material.prompts_of("probe"))

    monkeypatch.setattr(_Group, "_trained", trained)
    monkeypatch.setattr(_Group, "_sampled", sampled)
    material = tiny.material(tiny_folder)
    bench = Workbench(material, "cpu", {}, scorer=Scored())  # type: ignore[arg-type]
    yield bench
    bench.close()


def probes(bench: Workbench, *seeds: int) -> list[Probe]:
    key = bench.material.key("here")
    return [Probe(tiny.recipe(), key, seed) for seed in seeds]


def run(
    bench: Workbench, folder: Path, *seeds: int, listener: Any = lambda _: None
) -> tuple[list[Outcome], list[Outcome]]:
    """The outcomes, and those that were kept, in order."""
    kept: list[Outcome] = []
    found = measure(
        bench, probes(bench, *seeds), lambda name: folder / name, listener, keep=lambda _, outcome: kept.append(outcome)
    )
    return found, kept


def mean(outcome: Outcome) -> float:
    assert isinstance(outcome, Reading), outcome
    return outcome.mean()


@pytest.mark.parametrize("joined", [False, True])
def test_each_probe_has_its_own_scores_and_failures_are_in_their_places(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joined: bool
) -> None:
    monkeypatch.setattr(Workbench, "joins_passes", joined)
    outcomes, kept = run(bench, tmp_path, 3, 9, 5, 1)
    assert kept == outcomes
    assert [outcome.seed for outcome in outcomes] == [3, 9, 5, 1]
    assert [mean(outcome) for outcome in outcomes if isinstance(outcome, Reading)] == [3.0, 5.0, 1.0]
    assert isinstance(outcomes[1], Failure)
    assert bench.scorer.threads == [False, False, True]  # type: ignore[union-attr]


def test_a_probe_is_scored_while_the_next_is_trained(bench: Workbench, tmp_path: Path) -> None:
    trains, scorer = threading.Event(), bench.scorer
    second = probes(bench, 1, 2)[1].id

    def listener(progress: Progress) -> None:
        if (progress.probe, progress.phase) == (second, "training"):
            trains.set()

    def before(seed: int) -> None:
        assert trains.wait(LONGEST), "the next probe is not trained while this one is scored"

    scorer.before = before  # type: ignore[union-attr]
    outcomes, _ = run(bench, tmp_path, 1, 2, listener=listener)
    assert [mean(outcome) for outcome in outcomes] == [1.0, 2.0]


@pytest.mark.parametrize("joined", [False, True])
def test_an_error_while_one_is_asked_costs_that_probe_alone(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joined: bool
) -> None:
    monkeypatch.setattr(Workbench, "joins_passes", joined)
    outcomes, kept = run(bench, tmp_path, 3, 8, 5)
    assert kept == outcomes
    assert [mean(outcomes[place]) for place in (0, 2)] == [3.0, 5.0]
    assert isinstance(outcomes[1], Failure)
    assert outcomes[1].message == "Diverged: while it was asked"


def test_a_scorer_that_breaks_costs_its_probe_alone(bench: Workbench, tmp_path: Path) -> None:
    def before(seed: int) -> None:
        if seed == 3:
            raise ScorerBroken("no")

    bench.scorer.before = before  # type: ignore[union-attr]
    outcomes, _ = run(bench, tmp_path, 3, 5)
    assert isinstance(outcomes[0], Failure)
    assert outcomes[0].kind == "scorer"
    assert mean(outcomes[1]) == 5.0


def test_what_ends_the_session_is_raised_before_all_are_trained(bench: Workbench, tmp_path: Path) -> None:
    after, trained = threading.Event(), list[str]()

    def before(seed: int) -> None:
        if seed == 1:
            raise BudgetSpent("no dollars are left; raise dollars")
        after.set()

    def listener(progress: Progress) -> None:
        if progress.phase == "training":
            trained.append(progress.probe)
            assert len(trained) < 3 or after.wait(LONGEST)

    bench.scorer.before = before  # type: ignore[union-attr]
    with pytest.raises(BudgetSpent, match="no dollars"):
        run(bench, tmp_path, 1, 2, 3, 4, 5, listener=listener)
    assert len(trained) <= 3
