"""Probe -> outcome, in the process that holds the base model: train, generate, score.

This file has the only broad ``except`` around a probe: every error becomes a typed failure.
"""

import contextlib
import errno
import gc
import json
import re
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import NightlaneError
from common.redaction import redacted
from probes.endpoint.spending import Allowance, SpendingMeter
from probes.generate.random_keys import Sampling, sampling_seed
from probes.generate.sampled_text import SampledText, tokens_of
from probes.inputs.material import Material
from probes.inputs.settings import Engine, MemorySettings
from probes.inputs.training_rows import order
from probes.model.load import Base, load_base
from probes.rendering.renderer import RenderedPrompt
from probes.rendering.row_check import rendered_digest
from probes.result.reading import Failure, Outcome, Probe, Reading, Timing
from probes.run.answers import levels, require_enough, scored_text, split_scored, write_answers
from probes.run.failures import FailureKind
from probes.run.protocol import Listener, OnOutcome, Progress, ignore_outcome
from probes.run.store import ADAPTER, ANSWERS, MANIFEST, has_whole_adapter
from probes.scoring import Answer, Context, Scorer, ScorerBroken, scorer_class

if TYPE_CHECKING:
    from probes.generate.vllm import AnswerServer
    from probes.train.job import Trained, TrainingJob


@dataclass
class Workbench:
    """What stays in memory between probes: the base, the scorer, and the client of the server that answers.
    ``memory``: how much of the next probe is in memory at once. ``engine``: what trains; ``engine_note``: why it is not
    the one that was asked for."""

    material: Material
    device: str
    bases: dict[str, Base]
    memory: MemorySettings = field(default_factory=MemorySettings)
    engine: Engine = "trl"
    scorer: Scorer | None = None
    server: "AnswerServer | None" = None
    engine_note: str = ""

    def choose_engine(self, wanted: Engine, quantization: str) -> None:
        """The engine that was asked for, if it can train on this base."""
        self.engine = wanted
        if wanted == "packed":
            from probes.train.packed.support import base_problem

            if problem := base_problem(self.base(quantization)):
                self.engine, self.engine_note = "trl", f"trained by TRL, not packed: {problem}"

    def base(self, quantization: str) -> Base:
        if quantization not in self.bases:
            self.drop_bases()  # one base at a time: two of them would not fit where one is large
            self.bases[quantization] = load_base(self.material.model, self.material.folder, quantization, self.device)
        return self.bases[quantization]

    def drop_bases(self) -> None:
        """Free the memory of the bases, on the device too. Models have reference cycles, so the collector is called."""
        if not self.bases:
            return
        self.bases.clear()
        gc.collect()
        if self.device != "cpu":
            import torch

            with contextlib.suppress(RuntimeError):  # the device failed; its worker is replaced
                torch.cuda.empty_cache()

    def rendered(self, quantization: str) -> str:
        """The digest of all prompts as this base is asked them."""
        return rendered_digest(self.base(quantization).renderer, self.material.all_prompts)

    def open_scorer(self) -> Scorer:
        if self.scorer is None:
            self.scorer = scorer_class(self.material.scorer.kind)(self.material.scorer, self.material.folder)
        return self.scorer

    def open_server(self) -> "AnswerServer | None":
        """None where the worker generates the answers itself."""
        if self.server is None and self.material.serving.kind == "endpoint":
            from probes.generate.vllm import AnswerServer  # the openai client takes a second or more

            self.server = AnswerServer(self.material.serving)
        return self.server

    def about(self) -> str:
        """One line on the scorer, the server of the answers and the engine. Opens both."""
        server = self.open_server()
        said = [self.open_scorer().about, server.about if server else "", self.engine_note]
        return "; ".join(part for part in said if part)

    def close(self) -> None:
        for opened in (self.scorer, self.server):
            if opened is not None:
                opened.close()


def measure(
    bench: Workbench,
    probes: Sequence[Probe],
    directory: Callable[[str], Path],
    listener: Listener,
    allowance: Allowance | None = None,
    keep: OnOutcome = ignore_outcome,
) -> list[Outcome]:
    """Measure each probe. A NightlaneError (a missing requirement, say) is raised; all other errors become Failures.

    ``directory``: of a probe, by its id. ``allowance``: what judging may cost; None for no limit. ``keep``: is called
    with each outcome as soon as there is one. The packed engine trains all probes first, which have the quantisation of
    the base in common.
    """
    packed = _train_packed(bench, probes, directory, listener) if bench.engine == "packed" else {}
    outcomes = []
    for probe in probes:
        outcomes.append(_measure_one(bench, probe, directory, listener, allowance, packed.get(probe.id)))
        keep(probe, outcomes[-1])
    return outcomes


def _train_packed(
    bench: Workbench, probes: Sequence[Probe], directory: Callable[[str], Path], listener: Listener
) -> "dict[str, Trained | Exception]":
    """The adapters of these probes, by the probe's id, but for those that borrow one; an error that concerns all of
    them is each one's."""
    own = [probe for probe in probes if not _lender(probe, directory)]
    if not own:
        return {}
    try:
        from probes.train.packed.engine import train

        reset_peak(bench.device)
        jobs = [_job(bench, probe, directory, listener) for probe in own]
        results = train(bench.base(own[0].recipe.quantization), jobs, bench.memory)
    except NightlaneError:
        raise
    except Exception as error:
        results = [error] * len(own)
    return {probe.id: result for probe, result in zip(own, results, strict=True)}


def _lender(probe: Probe, directory: Callable[[str], Path]) -> Path | None:
    """The folder of the probe whose adapter this one borrows, if it is whole."""
    lender = directory(probe.adapter_of)
    return lender if probe.adapter_of and has_whole_adapter(lender) else None


def _job(bench: Workbench, probe: Probe, directory: Callable[[str], Path], listener: Listener) -> "TrainingJob":
    """What a probe trains. Its folder is there afterwards, without an older outcome."""
    from probes.train.job import TrainingJob
    from probes.train.reference_store import NAME, ReferenceStore

    folder, key, recipe, steps = directory(probe.id), probe.key, probe.recipe, bench.material.probe.steps
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)  # it describes the files that are overwritten now
    rows = order(recipe, bench.material.sources, steps * recipe.effective_batch, probe.seed)

    def on_step(step: int, loss: float) -> None:
        listener(Progress(probe.id, "training", step, steps, loss))

    depends_on = (key.base, key.environment, recipe.quantization, recipe.max_length, recipe.ld_alpha)
    references = ReferenceStore(folder.parent / NAME, repr(depends_on))
    return TrainingJob(recipe, rows, probe.seed, folder, on_step, references=references)


def _measure_one(
    bench: Workbench,
    probe: Probe,
    directory: Callable[[str], Path],
    listener: Listener,
    allowance: Allowance | None,
    packed: "Trained | Exception | None" = None,
) -> Outcome:
    try:
        with SpendingMeter(allowance) as meter:
            return _Measurement(bench, probe, directory, listener, meter, packed).reading()
    except NightlaneError:
        raise
    except Exception as error:
        failure = Failure(probe.id, probe.seed, classify(error), _one_line(error))
    if not failure.permanent:  # the error may have left the base changed
        bench.drop_bases()  # outside the except block, whose exception keeps the base and the trainer alive
    return failure


@dataclass
class _Measurement:
    """One probe on one workbench: train, generate, score. ``packed``: what the packed engine trained for it."""

    bench: Workbench
    probe: Probe
    directory: Callable[[str], Path]
    listener: Listener
    meter: SpendingMeter
    packed: "Trained | Exception | None" = None

    def reading(self) -> Reading:
        bench, probe, material = self.bench, self.probe, self.bench.material
        started = time.perf_counter()
        if self.packed is None:
            reset_peak(bench.device)
        folder = self.directory(probe.id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)  # it describes the files that are overwritten now
        base = bench.base(probe.recipe.quantization)
        scorer = bench.open_scorer()
        trained = self._trained(base)
        steps = material.probe.steps
        progress = Progress(probe.id, "generating", steps, steps, trained.final.get("loss"))
        self.listener(progress)
        prompts = material.prompts_of(probe.key.split)
        generating_since = time.perf_counter()
        questions = [base.renderer.question(prompt.asked) for prompt in prompts]
        sampled = self._sampled(base, trained.adapter, questions, notes_at(self.listener, progress))
        scoring_since = time.perf_counter()
        progress = replace(progress, phase="scoring")
        self.listener(progress)
        asked = [(p, q, one) for p, q, own in zip(prompts, questions, sampled, strict=True) for one in own]
        answers = [Answer(p, scored_text(material.scorer, q.text, one.text)) for p, q, one in asked]
        judged = scorer.score(answers, Context(notes_at(self.listener, progress), self.meter))
        scored = time.perf_counter()
        samples = probe.key.samples
        scores, missing = split_scored(answers, judged, samples)
        require_enough(missing, len(answers), material.scorer.most_missing)
        write_answers(folder / ANSWERS, answers, [one for *_, one in asked], judged, samples)
        (folder / "levels.json").write_text(json.dumps(levels(answers, judged), indent=1) + "\n", encoding="utf-8")
        timing = Timing(
            train=trained.seconds,
            generate=scoring_since - generating_since,
            score=scored - scoring_since,
            total=time.perf_counter() - started + (trained.seconds if self.packed is not None else 0.0),
        )
        return Reading(
            probe=probe.id,
            recipe=probe.recipe.digest,
            key=probe.key,
            seed=probe.seed,
            scores=scores,
            final=trained.final,
            timing=timing,
            tokens=trained.tokens,
            peak_gb=peak_gb(bench.device),
            missing=missing,
            judging=self.meter.spent,
            cut=sum(one.cut for *_, one in asked),
            answer_tokens=tokens_of([one for *_, one in asked]),
        )

    def _trained(self, base: Base) -> "Trained":
        """The adapter of the probe that this one borrows from, if it is whole; else one that was trained for it."""
        from probes.train.job import Trained

        if lender := _lender(self.probe, self.directory):
            return Trained(lender / ADAPTER, 0.0, 0, {})
        trained = self.packed
        if trained is None:
            from probes.train.trl import train

            (trained,) = train(base, [_job(self.bench, self.probe, self.directory, self.listener)], self.bench.memory)
        if isinstance(trained, Exception):
            raise trained
        return trained

    def _sampled(
        self, base: Base, adapter: Path, questions: Sequence[RenderedPrompt], note: Callable[[str], None]
    ) -> list[list[SampledText]]:
        """Answers, indexed [prompt][sample], of the base with the adapter: from the server, or generated here."""
        probe, settings, server = self.probe, self.bench.material.probe, self.bench.open_server()
        sampling = Sampling(
            samples=probe.key.samples,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            max_new_tokens=settings.max_new_tokens,
            seed=sampling_seed(settings.sampling_seed, probe.seed),
            batch_size=self.bench.memory.generation_batch,
        )
        if server is not None:
            with _adapter_for_server(base, adapter, self.directory(probe.id)) as served:
                answers = server.answers(probe.id, served, questions, base.renderer.stop, sampling, note)
            asked = zip(questions, answers, strict=True)
            return [[replace(one, text=base.renderer.answer_text(q, one.text)) for one in own] for q, own in asked]
        from probes.generate.sampler import sample
        from probes.model.adapter import adapted

        with adapted(base, adapter) as model:
            return sample(model, base.renderer, questions, sampling)


@contextlib.contextmanager
def _adapter_for_server(base: Base, adapter: Path, directory: Path) -> Iterator[Path]:
    """The adapter as a server of the bare base needs it: combined with [model] adapter, where the study has one."""
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


def notes_at(listener: Listener, progress: Progress) -> Callable[[str], None]:
    """A function that sends the listener a note at this point of a probe."""
    return lambda note: listener(replace(progress, note=note))


MEMORY_SIGNS = re.compile("out of memory|can't allocate memory|Cannot allocate memory")
"""Texts of errors of a GPU without memory, of torch's allocator on a CPU, and of the operating system."""
DEVICE_SIGNS = re.compile(
    "CUDA error|CUBLAS_STATUS|CUDNN_STATUS|cuDNN error|NCCL error|device-side assert|illegal memory access|HIP error"
)
"""Texts of errors after which a process cannot use its device any more."""


def classify(error: Exception) -> FailureKind:
    """The one place where an exception becomes a kind of failure."""
    name, text = type(error).__name__, str(error)
    if name in ("Diverged", "Untrainable"):
        return "diverged" if name == "Diverged" else "untrainable"
    if isinstance(error, ScorerBroken):
        return "scorer"
    if name == "ServerBroken":  # its message is about the server, not about this device
        return "server"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "No space left" in text or "os error 28" in text:  # safetensors raises an exception of its own
        return "disk"
    if name == "OutOfMemoryError" or isinstance(error, MemoryError) or MEMORY_SIGNS.search(text):
        return "oom"
    if name == "AcceleratorError" or DEVICE_SIGNS.search(text):
        return "device"
    return "error"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return redacted(f"{type(error).__name__}: {text}")[:400]


def peak_gb(device: str) -> float:
    """Peak memory in GiB since ``reset_peak``: allocated on the fullest GPU, or resident on a CPU."""
    if device != "cpu":
        import torch

        return round(max(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count()))) / 2**30, 3)
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20, 3)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


def reset_peak(device: str) -> None:
    """Begin a probe's own peak; where the kernel does not allow it, the worker's peak so far stays in it."""
    if device != "cpu":
        import torch

        for number in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(number)
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
