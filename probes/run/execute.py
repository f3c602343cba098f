"""Probe -> outcome, in the process that holds the base model: train, generate, score.

The broad ``except`` of a probe stands here and nowhere else: whatever goes wrong becomes a typed failure.
"""

import contextlib
import errno
import gc
import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from common.errors import NightlaneError
from common.redaction import redacted
from probes.endpoint.spending import Allowance, SpendingMeter
from probes.generate.random_keys import Sampling, sampling_seed
from probes.inputs.material import Material
from probes.inputs.settings import ScorerSettings
from probes.inputs.training_rows import order
from probes.model.load import Base, load_base
from probes.rendering.renderer import Question
from probes.rendering.row_check import rendered_digest
from probes.result.reading import Failure, Outcome, Probe, Reading, Score, Timing, Unscored
from probes.run.failures import FailureKind
from probes.run.protocol import Listener, Progress
from probes.run.store import ADAPTER, ANSWERS, MANIFEST, has_whole_adapter
from probes.scoring import Answer, Context, Mark, Missing, Scorer, ScorerBroken, scorer_class
from probes.scoring.protocol import too_many_missing
from probes.scoring.thoughts import open_thought_mark, without_thoughts

if TYPE_CHECKING:
    from probes.generate.vllm import AnswerServer
    from probes.train.trl import Trained


@dataclass
class Workbench:
    """What stays in memory between probes: the base per quantisation, the scorer, and the server of the answers."""

    material: Material
    device: str
    bases: dict[str, Base]
    scorer: Scorer | None = None
    server: "AnswerServer | None" = None

    def base(self, quantization: str) -> Base:
        if quantization not in self.bases:
            self.drop_bases()  # one base at a time: two of them would not fit where one is large
            self.bases[quantization] = load_base(self.material.model, self.material.folder, quantization, self.device)
        return self.bases[quantization]

    def drop_bases(self) -> None:
        """Free what the bases took, on the device too. A model is full of cycles, so this is not left to chance."""
        if not self.bases:
            return
        self.bases.clear()
        gc.collect()
        if self.device != "cpu":
            import torch

            with contextlib.suppress(RuntimeError):  # a device that failed: its worker is replaced
                torch.cuda.empty_cache()

    def rendered(self, quantization: str) -> str:
        """Names the questions of all prompts as the base is asked them."""
        return rendered_digest(self.base(quantization).renderer, self.material.all_prompts)

    def open_scorer(self) -> Scorer:
        if self.scorer is None:
            self.scorer = scorer_class(self.material.scorer.kind)(self.material.scorer, self.material.folder)
        return self.scorer

    def open_server(self) -> "AnswerServer | None":
        """None where the worker answers by itself."""
        if self.server is None and self.material.serving.kind == "endpoint":
            from probes.generate.vllm import AnswerServer  # the openai client takes a second or more

            self.server = AnswerServer(self.material.serving)
        return self.server

    def about(self) -> str:
        """What the scorer and the server of the answers say of themselves, opened if they are not."""
        server = self.open_server()
        said = [self.open_scorer().about, server.about if server else ""]
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
) -> list[Outcome]:
    """Measure each probe. A NightlaneError (a missing requirement, say) passes through; all else is a failure.

    ``allowance``: what judging may cost; None for a scorer that costs nothing, or no limit.
    """
    return [_measure_one(bench, probe, directory, listener, allowance) for probe in probes]


def _measure_one(
    bench: Workbench, probe: Probe, where: Callable[[str], Path], listener: Listener, allowance: Allowance | None
) -> Outcome:
    try:
        with SpendingMeter(allowance) as meter:
            return _reading(bench, probe, where, listener, meter)
    except NightlaneError:
        raise
    except Exception as error:
        failure = Failure(probe.id, probe.seed, classify(error), _one_line(error))
    if not failure.permanent:  # whatever went wrong may have left something on the base
        bench.drop_bases()  # here, where the exception, whose frames hold the base and the trainer, is gone
    return failure


def _reading(
    bench: Workbench, probe: Probe, where: Callable[[str], Path], listener: Listener, meter: SpendingMeter
) -> Reading:
    started = time.perf_counter()
    forget_peak(bench.device)
    steps, samples = bench.material.probe.steps, probe.key.samples
    directory = where(probe.id)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MANIFEST).unlink(missing_ok=True)  # it would vouch for what is written over now
    base = bench.base(probe.recipe.quantization)
    scorer = bench.open_scorer()
    trained = _trained(bench, base, probe, where, listener)
    loss = trained.final.get("loss")
    generating = Progress(probe.id, "generating", steps, steps, loss)
    listener(generating)
    prompts = bench.material.prompts_of(probe.key.split)
    mark = time.perf_counter()
    questions = [base.renderer.question(prompt.asked) for prompt in prompts]
    texts = _texts(bench, base, probe, trained.adapter, where, questions, notes_at(listener, generating))
    generated = time.perf_counter()
    scoring = replace(generating, phase="scoring")
    listener(scoring)
    asked = [(p, q, text) for p, q, own in zip(prompts, questions, texts, strict=True) for text in own]
    answers = [Answer(p, scored_text(bench.material.scorer, q.text, text)) for p, q, text in asked]
    judged = scorer.score(answers, Context(notes_at(listener, scoring), meter))
    scored = time.perf_counter()
    scores, missing = split_scored(answers, judged, samples)
    require_enough(missing, len(answers), bench.material.scorer.most_missing)
    _write_answers(directory / ANSWERS, answers, [text for *_, text in asked], judged, samples)
    (directory / "levels.json").write_text(json.dumps(levels(answers, judged), indent=1) + "\n", encoding="utf-8")
    timing = Timing(trained.seconds, generated - mark, scored - generated, time.perf_counter() - started)
    return Reading(
        probe.id, probe.recipe.digest, probe.key, probe.seed, scores, trained.final, timing, trained.tokens,
        peak_gb(bench.device), missing, meter.spent,
    )  # fmt: skip


def _trained(bench: Workbench, base: Base, probe: Probe, where: Callable[[str], Path], listener: Listener) -> "Trained":
    """The adapter of the probe that lends its own, if that is whole; else one trained here."""
    from probes.train.trl import Trained, TrainingJob, train

    lent, settings = where(probe.adapter_of), bench.material.probe
    if probe.adapter_of and has_whole_adapter(lent):
        return Trained(lent / ADAPTER, 0.0, 0, {})
    rows = order(probe.recipe, bench.material.sources, settings.steps * probe.recipe.effective_batch, probe.seed)

    def tell(step: int, loss: float) -> None:
        listener(Progress(probe.id, "training", step, settings.steps, loss))

    trained = train(base, [TrainingJob(probe.recipe, rows, probe.seed, where(probe.id), tell)], settings)[0]
    if isinstance(trained, Exception):
        raise trained
    return trained


def _texts(
    bench: Workbench, base: Base, probe: Probe, adapter: Path, where: Callable[[str], Path],
    questions: Sequence[Question], note: Callable[[str], None],
) -> list[list[str]]:  # fmt: skip
    """Answers, indexed [prompt][sample], from the base with the adapter on it: at the server, or here."""
    settings, server = bench.material.probe, bench.open_server()
    sampling = Sampling(
        probe.key.samples, settings.temperature, settings.top_p, settings.top_k,
        settings.max_new_tokens, sampling_seed(settings.sampling_seed, probe.seed), settings.generation_batch,
    )  # fmt: skip
    if server is not None:
        with _for_the_server(base, adapter, where(probe.id)) as served:
            answers = server.answers(probe.id, served, questions, base.renderer.stop, sampling, note)
        return [[base.renderer.content(text) for text in own] for own in answers]
    from probes.generate.sampler import generate
    from probes.model.adapter import adapted

    with adapted(base, adapter) as model:
        return generate(model, base.renderer, questions, sampling)


@contextlib.contextmanager
def _for_the_server(base: Base, adapter: Path, directory: Path) -> Iterator[Path]:
    """The adapter as a server of the bare base needs it: one that holds [model] adapter too, where there is that."""
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
    """Tells the listener a note at this point of a probe."""
    return lambda note: listener(replace(progress, note=note))


def split_scored(
    answers: Sequence[Answer], judged: Sequence[Mark | Missing], samples: int
) -> tuple[tuple[Score, ...], tuple[Unscored, ...]]:
    """What has a score and what has none, each in the order of the answers."""
    scores, missing = [], []
    for place, (answer, mark) in enumerate(zip(answers, judged, strict=True)):
        prompt, sample = answer.prompt, place % samples
        if isinstance(mark, Missing):
            missing.append(Unscored(prompt.id, sample, prompt.category, mark.reason))
        else:
            scores.append(
                Score(prompt.id, sample, prompt.category, mark.value, mark.components, mark.critical, mark.outcome)
            )
    return tuple(scores), tuple(missing)


def require_enough(missing: Sequence[Unscored], answers: int, most: float) -> None:
    """ScorerBroken when more answers are unjudged than the study allows: that is no reading."""
    if told := too_many_missing([item.reason for item in missing], answers, most):
        raise ScorerBroken(told)


def scored_text(scorer: ScorerSettings, question: str, text: str) -> str:
    """What of an answer is scored: what follows its thoughts, unless the study keeps them."""
    return text if scorer.thoughts == "keep" else without_thoughts(open_thought_mark(question) + text)


def _write_answers(
    path: Path, answers: Sequence[Answer], texts: Sequence[str], judged: Sequence[Mark | Missing], samples: int
) -> None:
    """One row per answer, with its whole text, and what was scored of it where that is less; one that could not be
    judged has the reason and no score."""
    with path.open("w", encoding="utf-8") as stream:
        for place, (answer, text, mark) in enumerate(zip(answers, texts, judged, strict=True)):
            said: dict[str, Any] = {"missing": mark.reason} if isinstance(mark, Missing) else {
                "score": mark.value, "components": dict(mark.components), "critical": list(mark.critical),
                "outcome": mark.outcome, "note": mark.note, "format_only": mark.format_only,
            }  # fmt: skip
            row = {"prompt": answer.prompt.id, "sample": place % samples, "category": answer.prompt.category}
            if answer.text != text:
                said["scored_text"] = answer.text
            stream.write(json.dumps({**row, **said, "text": text}) + "\n")


def levels(answers: Sequence[Answer], judged: Sequence[Mark | Missing]) -> list[dict[str, Any]]:
    """Per category and difficulty: answers, their mean score (None without one), critical failures, missing scores."""
    groups: dict[tuple[str, int], list[Mark | Missing]] = {}
    for answer, mark in zip(answers, judged, strict=True):
        groups.setdefault((answer.prompt.category, answer.prompt.difficulty), []).append(mark)
    found = []
    for (category, difficulty), own in sorted(groups.items()):
        marks = [mark for mark in own if isinstance(mark, Mark)]
        found.append({
            "category": category, "difficulty": difficulty, "answers": len(own),
            "mean": fmean(mark.value for mark in marks) if marks else None,
            "critical_failures": sum(len(mark.critical) for mark in marks), "missing": len(own) - len(marks),
        })  # fmt: skip
    return found


DEVICE_SIGNS = ("CUDA error", "CUBLAS_STATUS", "CUDNN_STATUS", "cuDNN error", "NCCL error", "device-side assert",
                "illegal memory access", "HIP error")  # fmt: skip
"""Of errors after which the process can do nothing more with its device."""


def classify(error: Exception) -> FailureKind:
    """The one place where an exception becomes a kind of failure."""
    name, text = type(error).__name__, str(error)
    if name in ("Diverged", "Untrainable"):
        return "diverged" if name == "Diverged" else "untrainable"
    if isinstance(error, ScorerBroken):
        return "scorer"
    if name == "ServerBroken":  # whatever it says went wrong is its own, not this device's
        return "server"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "No space left" in text or "os error 28" in text:  # safetensors raises an exception of its own
        return "disk"
    if name == "OutOfMemoryError" or isinstance(error, MemoryError) or "out of memory" in text:
        return "oom"
    if name == "AcceleratorError" or any(sign in text for sign in DEVICE_SIGNS):
        return "device"
    return "error"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return redacted(f"{type(error).__name__}: {text}")[:400]


def peak_gb(device: str) -> float:
    """Peak memory in GiB since ``forget_peak``: allocated on the device, or resident on a CPU."""
    if device != "cpu":
        import torch

        return round(torch.cuda.max_memory_allocated() / 2**30, 3)
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20, 3)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


def forget_peak(device: str) -> None:
    """Begin a probe's own peak; where the kernel does not allow it, the worker's peak so far stays in it."""
    if device != "cpu":
        import torch

        torch.cuda.reset_peak_memory_stats()
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
