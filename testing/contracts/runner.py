"""The contract of runners."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lanes import Recipe
from probes.inputs.material import Material
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.protocol import Progress, Runner
from probes.run.store import require_own


class RunnerContract(ABC):
    """Inherit it under a name that begins with Test, and define how a runner is opened, its material and recipes.

    One runner is opened for the whole class, and a second one for a comparison.
    """

    @abstractmethod
    def material(self, folder: Path) -> Material:
        """A small study. Write its files into ``folder``."""

    @abstractmethod
    def open(self, material: Material, runs: Path) -> Runner:
        """A runner that keeps each probe's directory under ``runs``."""

    @abstractmethod
    def recipes(self) -> Sequence[Recipe]:
        """Two or more different recipes that this runner can measure."""

    def failing_recipe(self) -> Recipe | None:
        """A recipe whose probes fail, for example because training diverges; None if there is none."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator["RunnerUnderTest"]:
        contract = cls()
        material = contract.material(tmp_path_factory.mktemp("study"))
        with contract.open(material, tmp_path_factory.mktemp("runs")) as runner:
            yield RunnerUnderTest(material, runner)

    def test_it_says_in_one_line_where_and_with_what_it_measures(self, opened: "RunnerUnderTest") -> None:
        runner = opened.runner
        assert runner.environment
        assert "\n" not in runner.environment
        assert "\n" not in runner.about
        assert runner.base is None or runner.base
        assert runner.width >= 1
        assert len({worker.number for worker in runner.workers}) == len(runner.workers)

    def test_no_probes_have_no_outcomes(self, opened: "RunnerUnderTest") -> None:
        assert opened.run([]) == []

    def test_outcomes_are_the_probes_own_and_in_the_order_asked(self, opened: "RunnerUnderTest") -> None:
        probes = opened.probes(self.recipes())
        outcomes = opened.run(probes)
        assert len(outcomes) == len(probes)
        for probe, outcome in zip(probes, outcomes, strict=True):
            require_own(probe, outcome)

    def test_a_reading_has_a_score_or_a_reason_for_each_sample_of_each_prompt(self, opened: "RunnerUnderTest") -> None:
        (probe,) = opened.probes(self.recipes()[:1], seeds=1)
        (reading,) = opened.run([probe])
        assert isinstance(reading, Reading)
        found = [(score.prompt, score.sample) for score in reading.scores]
        found += [(item.prompt, item.sample) for item in reading.missing]
        prompts = opened.material.prompts_of(probe.key.split)
        assert sorted(found) == sorted((prompt.id, sample) for prompt in prompts for sample in range(probe.key.samples))
        assert all(0 <= score.value <= 10 for score in reading.scores)

    def test_each_outcome_is_handed_over_once_before_the_batch_returns(self, opened: "RunnerUnderTest") -> None:
        probes = opened.probes(self.recipes())
        kept: list[tuple[Probe, Outcome]] = []
        outcomes = opened.runner.run(probes, lambda _: None, lambda probe, outcome: kept.append((probe, outcome)))
        assert sorted(probe.id for probe, _ in kept) == sorted(probe.id for probe in probes)
        by_id = {probe.id: outcome for probe, outcome in kept}
        assert [by_id[probe.id] for probe in probes] == outcomes

    def test_progress_is_that_of_the_batch_and_ends_with_done(self, opened: "RunnerUnderTest") -> None:
        probes = opened.probes(self.recipes())
        heard: list[Progress] = []
        opened.runner.run(probes, heard.append)
        assert {one.probe for one in heard} - {""} == {probe.id for probe in probes}
        for probe in probes:
            assert [one.phase for one in heard if one.probe == probe.id][-1] == "done"

    def test_its_workers_name_the_probe_whose_progress_is_heard_and_none_afterwards(
        self, opened: "RunnerUnderTest"
    ) -> None:
        if not opened.runner.workers:
            pytest.skip("its probes run in the caller's process")
        at_work: list[bool] = []

        def listen(progress: Progress) -> None:
            if progress.phase == "training":
                at_work.append(any(progress.probe in worker.probes for worker in opened.runner.workers))

        opened.runner.run(opened.probes(self.recipes()), listen)
        assert at_work
        assert all(at_work)
        assert not any(worker.probes for worker in opened.runner.workers)

    def test_a_probe_gives_the_same_scores_again_alone_and_in_another_runner(
        self, opened: "RunnerUnderTest", tmp_path: Path
    ) -> None:
        probes = opened.probes(self.recipes())
        together = [_gist(outcome) for outcome in opened.run(probes)]
        assert _gist(opened.run(probes[-1:])[0]) == together[-1]
        with self.open(opened.material, tmp_path) as other:
            assert [_gist(outcome) for outcome in other.run(probes[::-1], lambda _: None)] == together[::-1]

    def test_another_seed_and_another_recipe_have_scores_of_their_own(self, opened: "RunnerUnderTest") -> None:
        probes = opened.probes(self.recipes()[:2])
        found = [_gist(outcome) for outcome in opened.run(probes)]
        assert len({repr(one) for one in found}) == len(probes)

    def test_a_failure_has_no_score_and_leaves_its_neighbours_alone(self, opened: "RunnerUnderTest") -> None:
        if (failing := self.failing_recipe()) is None:
            pytest.skip("no recipe fails here")
        good = self.recipes()[0]
        before, failed, after = opened.run(opened.probes([good, failing, good], seeds=1))
        assert isinstance(failed, Failure)
        assert failed.message
        assert _gist(before) == _gist(after)

    def test_an_exception_passes_through_and_the_next_batch_is_measured(self, opened: "RunnerUnderTest") -> None:
        def full(probe: Probe, outcome: Outcome) -> None:
            raise OSError("the disk is full")

        probes = opened.probes(self.recipes())
        with pytest.raises(OSError, match="the disk is full"):
            opened.runner.run(probes, lambda _: None, full)
        assert [outcome.probe for outcome in opened.run(probes)] == [probe.id for probe in probes]

    def test_closing_twice_is_harmless(self, opened: "RunnerUnderTest", tmp_path: Path) -> None:
        runner = self.open(opened.material, tmp_path)
        runner.close()
        runner.close()


class RunnerUnderTest:
    """A runner and the material that it measures on."""

    def __init__(self, material: Material, runner: Runner) -> None:
        self.material, self.runner = material, runner

    def probes(self, recipes: Sequence[Recipe], seeds: int = 2) -> list[Probe]:
        """Each recipe with the first so many seeds of the study."""
        key = self.material.key(self.runner.environment, self.runner.base)
        return [Probe(recipe, key, seed) for recipe in recipes for seed in self.material.probe.seeds[:seeds]]

    def run(self, probes: Sequence[Probe]) -> list[Outcome]:
        return self.runner.run(probes, lambda _: None)


def _gist(outcome: Outcome) -> Outcome:
    """An outcome without times and memory, which differ between two measurements of one probe."""
    if isinstance(outcome, Failure):
        return outcome
    timing = replace(outcome.timing, train=0.0, generate=0.0, score=0.0, total=0.0)
    return replace(outcome, timing=timing, peak_gb=0.0)
