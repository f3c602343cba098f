"""Probe -> outcome, in the process that holds the base model: train, generate, score.

This file has the only broad ``except`` clauses around a probe, one for training and generation and one for scoring:
every error becomes a typed Failure.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import NightlaneError
from probes.endpoint.spending import Allowance, SpendingMeter
from probes.generate.random_keys import Sampling
from probes.generate.sampled_text import SampledText
from probes.inputs.training_rows import order
from probes.model.load import Base
from probes.rendering.renderer import RenderedPrompt
from probes.result.reading import Failure, Outcome, Probe
from probes.run.classify import failure_of
from probes.run.peak_memory import peak_gb, reset_peak
from probes.run.protocol import Listener, OnOutcome, Progress, ignore_outcome
from probes.run.scored import AnsweredProbe, notes_at, read
from probes.run.store import ADAPTER, MANIFEST, has_whole_adapter
from probes.run.workbench import Workbench

if TYPE_CHECKING:
    from probes.train.job import Trained, TrainingJob


def measure(
    bench: Workbench,
    probes: Sequence[Probe],
    directory: Callable[[str], Path],
    listener: Listener,
    allowance: Allowance | None = None,
    keep: OnOutcome = ignore_outcome,
) -> list[Outcome]:
    """Measure each probe. A NightlaneError (a missing requirement, say) is raised; all other errors become Failures.

    ``directory``: the folder of a probe, by its id. ``allowance``: what judging may cost; None for no limit. ``keep``
    is called with each outcome, in order, as soon as there is one.

    A thread scores the answers of a probe while the next probes are trained and answer; the last probe is scored in the
    calling thread. If adapters share passes, all probes are trained first and then answer; they must have the same
    quantisation of the base.
    """
    groups = [probes] if bench.joins_passes else [[probe] for probe in probes]
    asked = (one for group in groups for one in _asked(bench, group, directory, listener))

    def finish(probe: Probe, answered: AnsweredProbe | Failure) -> Outcome:
        outcome = _outcome(bench, probe, answered, directory, listener, allowance)
        keep(probe, outcome)
        return outcome

    scoring: list[Future[Outcome]] = []
    with ThreadPoolExecutor(1, "scoring") as thread:
        for number, (probe, answered) in enumerate(asked, start=1):
            if number == len(probes):
                return [*(one.result() for one in scoring), finish(probe, answered)]
            scoring.append(thread.submit(finish, probe, answered))
            for one in scoring:
                if one.done():
                    one.result()  # raises an error at once, before the other probes are measured
    return []


def _asked(
    bench: Workbench, group: Sequence[Probe], directory: Callable[[str], Path], listener: Listener
) -> Iterator[tuple[Probe, AnsweredProbe | Failure]]:
    """Train these probes and generate their answers, in order. After an error that concerns the whole group, the probes
    that are left are trained and asked one by one."""
    left, failure = list(group), None
    try:
        for answered in _Group(bench, group, directory, listener).answered():
            yield left.pop(0), answered
    except NightlaneError:
        raise
    except Exception as error:
        failure = failure_of((left or group)[0], error)
    if failure is None:
        return
    if not failure.permanent:  # the error may have left the base changed
        bench.drop_bases()  # outside the except block, whose exception keeps the base and the trainer alive
    for probe in left:
        if len(group) == 1:
            yield probe, failure
            return
        yield from _asked(bench, [probe], directory, listener)


def _outcome(
    bench: Workbench,
    probe: Probe,
    answered: AnsweredProbe | Failure,
    directory: Callable[[str], Path],
    listener: Listener,
    allowance: Allowance | None,
) -> Outcome:
    """Score a probe's answers: its reading, or a failure."""
    if isinstance(answered, Failure):
        return answered
    try:
        with SpendingMeter(allowance) as meter:
            return read(probe, answered, bench.material, bench.open_scorer(), directory(probe.id), listener, meter)
    except NightlaneError:
        raise
    except Exception as error:
        return failure_of(probe, error)


@dataclass
class _Group:
    """Probes that are trained together and then answer together, or one probe."""

    bench: Workbench
    probes: Sequence[Probe]
    directory: Callable[[str], Path]
    listener: Listener

    def answered(self) -> Iterator[AnsweredProbe | Failure]:
        """The answers, or the failure, of each probe, in order."""
        began = time.perf_counter()
        reset_peak(self.bench.device)
        for probe in self.probes:
            folder = self.directory(probe.id)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / MANIFEST).unlink(missing_ok=True)  # it describes the files that are overwritten now
        self.bench.open_scorer()
        results = self._trained()
        in_order = ((probe, results[probe]) for probe in self.probes)
        trained = {probe: one for probe, one in in_order if not isinstance(one, Failure)}
        other = time.perf_counter() - began - sum(one.seconds for one in trained.values())
        sampled = self._sampled(trained)
        for probe in self.probes:
            if probe not in trained:
                yield results[probe]  # type: ignore[misc]
                continue
            began = time.perf_counter()
            answers = next(sampled)
            yield AnsweredProbe(
                trained=trained[probe],
                questions=self._questions(probe),
                sampled=answers,
                seconds=time.perf_counter() - began,
                other_seconds=other / len(self.probes),
                peak_gb=peak_gb(self.bench.device),
            )
        next(sampled, None)  # takes the adapters off

    def _trained(self) -> "dict[Probe, Trained | Failure]":
        """An adapter for each probe: the borrowed one (``Probe.adapter_of``) if it is undamaged, else a new one."""
        from probes.train.job import Trained

        lenders = {probe: _lender(probe, self.directory) for probe in self.probes}
        found: dict[Probe, Trained | Failure] = {
            probe: Trained(lender / ADAPTER, 0.0, 0, {}) for probe, lender in lenders.items() if lender is not None
        }
        if own := [probe for probe in self.probes if probe not in found]:
            found |= self._newly_trained(own)
        if any(isinstance(one, Failure) and not one.permanent for one in found.values()):
            self.bench.drop_bases()  # the error may have left it changed
        return found

    def _newly_trained(self, probes: Sequence[Probe]) -> "dict[Probe, Trained | Failure]":
        """Train an adapter for each probe. No exception is kept: its traceback would keep the base in memory."""
        jobs = [_job(self.bench, probe, self.directory(probe.id), self.listener) for probe in probes]
        results = zip(probes, self.bench.train(probes[0].recipe.quantization, jobs), strict=True)
        return {probe: failure_of(probe, one) if isinstance(one, Exception) else one for probe, one in results}

    def _questions(self, probe: Probe) -> list[RenderedPrompt]:
        renderer = self.bench.base(probe.recipe.quantization).renderer
        return [renderer.question(prompt.asked) for prompt in self.bench.material.prompts_of(probe.key.split)]

    def _sampled(self, trained: "Mapping[Probe, Trained]") -> Iterator[list[list[SampledText]]]:
        """For each adapter, its answers, indexed [prompt][sample]: from the server, or generated here."""
        if not trained:
            return
        bench, adapters, steps = self.bench, [one.adapter for one in trained.values()], self.bench.material.probe.steps
        begun = [
            Progress(probe.id, "generating", steps, steps, one.final.get("loss")) for probe, one in trained.items()
        ]
        questions = [self._questions(probe) for probe in trained]
        samplings = [bench.sampling(probe) for probe in trained]
        base, server = bench.base(next(iter(trained)).recipe.quantization), bench.open_server()
        if server is None:
            for progress in begun:
                self.listener(progress)
            yield from self._generated(base, adapters, questions, samplings)
            return
        for progress, adapter, asked, sampling in zip(begun, adapters, questions, samplings, strict=True):
            self.listener(progress)
            note = notes_at(self.listener, progress)
            with _adapter_for_server(base, adapter, self.directory(progress.probe)) as served:
                given = server.answers(progress.probe, served, asked, base.renderer.stop, sampling, note)
            both = zip(asked, given, strict=True)
            yield [[replace(one, text=base.renderer.answer_text(q, one.text)) for one in own] for q, own in both]

    def _generated(
        self,
        base: Base,
        adapters: Sequence[Path],
        questions: Sequence[Sequence[RenderedPrompt]],
        samplings: Sequence[Sampling],
    ) -> Iterator[list[list[SampledText]]]:
        from probes.generate.sampler import AdapterQuestions, sample_each
        from probes.model.adapter import adapted
        from probes.model.joined_adapters import JoinedAdapters

        asked = list(map(AdapterQuestions, questions, samplings))
        if self.bench.engine == "packed":
            with JoinedAdapters.on(base.model, adapters) as joined:
                yield from sample_each(base.model, base.renderer, asked, joined.carry)
        else:
            with adapted(base, *adapters) as model:
                yield from sample_each(model, base.renderer, asked)


def _lender(probe: Probe, directory: Callable[[str], Path]) -> Path | None:
    """The folder of the probe whose adapter this one borrows; None if it borrows none, or a damaged one."""
    lender = directory(probe.adapter_of)
    return lender if probe.adapter_of and has_whole_adapter(lender) else None


def _job(bench: Workbench, probe: Probe, folder: Path, listener: Listener) -> "TrainingJob":
    """The training of a probe, as a job for an engine."""
    from probes.train.job import TrainingJob
    from probes.train.reference_store import NAME, ReferenceStore

    key, recipe, steps = probe.key, probe.recipe, bench.material.probe.steps
    rows = order(recipe, bench.material.sources, steps * recipe.effective_batch, probe.seed)

    def on_step(step: int, loss: float) -> None:
        listener(Progress(probe.id, "training", step, steps, loss))

    depends_on = (key.base, key.environment, recipe.quantization, recipe.max_length, recipe.ld_alpha)
    references = ReferenceStore(folder.parent / NAME, repr(depends_on))
    return TrainingJob(recipe, rows, probe.seed, folder, on_step, references=references)


@contextlib.contextmanager
def _adapter_for_server(base: Base, adapter: Path, directory: Path) -> Iterator[Path]:
    """The adapter for a server that holds the bare base: combined with [model] adapter, if the study has one."""
    if base.adapter is None:
        yield adapter
        return
    from probes.model.merged_adapter import combine

    combined = directory / "served"
    try:
        combine(base, adapter, combined)
        yield combined
    finally:
        shutil.rmtree(combined, ignore_errors=True)
