"""``nightlane evaluate STUDY``: the base and adapters answer the study's prompts, and are compared pair by pair.

It writes nothing to a session's ledger. runs/evaluation-ID/   answers-*.jsonl   report.md   evaluation.json, last
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from common.digests import digest_of
from common.errors import BadInput
from evaluation.llama_cpp.tools import CONVERT_MODEL, QUANTISED, QUANTIZE, SERVER, LlamaCpp
from evaluation.own_study.adapters import require_own_adapter
from evaluation.own_study.answering_models import MERGED, AnsweringModels
from evaluation.own_study.answers import AnsweringSide, write_scored_answers
from evaluation.own_study.figures import Answers, CategoryLevel, ChangeFromBase, Example, changes, examples, levels
from evaluation.own_study.stored import read_answers, take_over, write_whole
from evaluation.results import FIGURES, new_folder
from probes.endpoint.spending import SpendingMeter, Usage
from probes.inputs.files.records import rows_digest
from probes.inputs.material import Material, code_digest
from probes.inputs.prompts import Prompt
from probes.inputs.settings import RunnerSettings
from probes.model.load import adapter_digest, base_digest
from probes.run.devices import use_devices
from probes.run.workbench import Workbench
from probes.scoring import scorer_class, scorer_digest
from probes.scoring.failures import scorer_failures_reported

SPLITS = ("probe", "holdout")
BASE = "base"
KIND = "study"
"""The kind in evaluation.json, by which it differs from an evaluation on problems."""

Note = Callable[[str], None]


@dataclass(frozen=True)
class StudyRequest:
    """What to evaluate. ``seeds``: the number of sampling seeds. ``merged``: also evaluate each adapter merged into the
    base. ``llama_cpp``: also quantise each merged model to the types ``quantised``. BadInput for an unknown split,
    fewer than one seed, an adapter that is named twice, and ``merged`` or ``llama_cpp`` without what they need."""

    name: str
    material: Material
    target: str
    guards: Mapping[str, float]
    quantization: str
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    adapters: tuple[Path, ...] = ()
    split: str = "probe"
    seeds: int = 3
    confidence: float = 0.95
    merged: bool = False
    llama_cpp: LlamaCpp | None = None
    quantised: tuple[str, ...] = QUANTISED

    def __post_init__(self) -> None:
        self._require_forms()
        if self.split not in SPLITS:
            raise BadInput(f"--split {self.split!r} is not one that a study is evaluated on; use {' or '.join(SPLITS)}")
        if self.seeds < 1:
            raise BadInput(f"--seeds {self.seeds} is how many sampling seeds a study is asked with; give 1 or more")
        twice = [one for place, one in enumerate(self.adapters) if one in self.adapters[:place]]
        if twice:
            raise BadInput(f"--adapter {twice[0]} is given twice; leave one of them out")

    def _require_forms(self) -> None:
        if self.llama_cpp is not None and not self.merged:
            raise BadInput("llama.cpp quantises merged adapters, and --merged was not given; give both")
        if self.merged and not self.adapters:
            raise BadInput("--merged merges adapters into the base, and none was given; name one with --adapter")
        if self.merged and self.material.model.adapter is not None:
            raise BadInput(
                f"--merged merges one adapter, and the study puts {self.material.model.adapter} below it; evaluate "
                "combined/ with a study that has no [model] adapter"
            )

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms in which each adapter is evaluated, besides as an adapter on the base."""
        return ((MERGED,) if self.merged else ()) + (self.quantised if self.llama_cpp is not None else ())

    @property
    def sides(self) -> tuple[AnsweringSide, ...]:
        """The base, the adapters, and then their forms."""
        own = [AnsweringSide(str(path), path, adapter_digest(path)) for path in self.adapters]
        forms = [replace(side, name=f"{side.name}, {form}", form=form) for side in own for form in self.forms]
        return (AnsweringSide(BASE, None, ""), *own, *forms)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        found = self.material.prompts_of(self.split)
        if not found:
            raise BadInput(f"{self.material.prompt_file} has no prompt of the split {self.split!r}; add some")
        return found


@dataclass(frozen=True)
class SideFigures:
    """The figures of one side. ``changes``, ``examples``: against the base; empty for the base. ``from_adapter``: the
    changes of a merged or quantised form against the adapter on the base. ``missing``: answers without a score."""

    side: AnsweringSide
    levels: tuple[CategoryLevel, ...]
    changes: tuple[ChangeFromBase, ...]
    examples: tuple[Example, ...]
    critical: int
    missing: int
    from_adapter: tuple[ChangeFromBase, ...] = ()


@dataclass(frozen=True)
class StudyEvaluation:
    """``texts``: the prompts of the examples, by id. ``earlier_looks``: how many evaluations of the same prompts and
    split this workspace already has. ``taken_over``: how many files of answers come from earlier evaluations."""

    request: StudyRequest
    sides: tuple[SideFigures, ...]
    answers: int
    judging: Usage
    seconds: float
    texts: Mapping[str, str] = field(default_factory=dict)
    earlier_looks: int = 0
    taken_over: int = 0


def evaluate_study(request: StudyRequest, runs: Path, note: Note) -> tuple[StudyEvaluation, Path]:
    """Evaluate, and return the result and the new folder under ``runs`` that holds its answers."""
    begun, material, prompts = time.monotonic(), request.material, request.prompts
    scorer_class(material.scorer.kind).check(material.scorer, material.folder, material.probe_prompts)
    for adapter in request.adapters:
        require_own_adapter(adapter, material)
    looks, folder = _earlier_looks(request, runs), new_folder(runs)
    note(f"answers and figures go to {folder}")
    if request.llama_cpp is not None:
        request.llama_cpp.need(SERVER, QUANTIZE, CONVERT_MODEL)
    sides = request.sides
    known = Identities(request)
    wanted = {(side, seed): known.of(side, seed) for side in sides for seed in range(1, request.seeds + 1)}
    missing = {place: identity for place, identity in wanted.items() if not take_over(identity, folder)}
    if taken := len(wanted) - len(missing):
        note(f"taken over from earlier evaluations: {taken} of {len(wanted)} sets of answers")
    spent = _ask(request, prompts, missing, folder, note) if missing else SpendingMeter().spent
    answers = {
        side: {seed: read_answers(wanted[side, seed], folder) for seed in range(1, request.seeds + 1)} for side in sides
    }
    figures = tuple(_figures(side, answers, request.confidence) for side in sides)
    shown = {example.base.prompt for one in figures for example in one.examples}
    return StudyEvaluation(
        request=request,
        sides=figures,
        answers=sum(len(own) for by_seed in answers.values() for own in by_seed.values()),
        judging=spent,
        seconds=time.monotonic() - begun,
        texts={prompt.id: prompt.text for prompt in prompts if prompt.id in shown},
        earlier_looks=looks,
        taken_over=taken,
    ), folder


def _ask(
    request: StudyRequest,
    prompts: Sequence[Prompt],
    wanted: Mapping[tuple[AnsweringSide, int], str],
    folder: Path,
    note: Note,
) -> Usage:
    """Write the answers that no earlier evaluation has, each file when it is complete; returns what a judge used."""
    from probes.model.load import load_quietly, use_few_threads

    load_quietly()
    bench = Workbench(request.material, use_devices(request.runner.gpus_per_worker), {}, request.runner)
    number = len(prompts) * request.material.probe.samples
    try:
        with scorer_failures_reported(), SpendingMeter() as meter, _scratch(folder) as scratch:
            note(bench.open_scorer().about)
            base = bench.base(request.quantization)
            use_few_threads(base)
            renderer = base.renderer
            del base
            longest = max(len(renderer.question(prompt.asked).ids) for prompt in prompts)
            forms = AnsweringModels(bench, request.quantization, scratch, request.llama_cpp)
            for side, own in groupby(wanted.items(), key=lambda item: item[0][0]):
                with forms.sampler(side, renderer, longest) as sampler:
                    for (_, seed), identity in own:
                        note(f"{side.name}, seed {seed} of {request.seeds}: {number} answers")
                        write = partial(
                            write_scored_answers,
                            *(bench, renderer, sampler, prompts, seed),
                            meter=meter,
                            note=note,
                        )
                        write_whole(identity, folder, write)
            return meter.spent
    finally:
        bench.close()


class Identities:
    """Digests of everything that the answers of a side and seed depend on, which identify their file."""

    def __init__(self, request: StudyRequest) -> None:
        from probes.run.worker import environment

        material = request.material
        self._parts = [
            base_digest(material.model, material.folder),
            request.quantization,
            rows_digest(material.prompt_file),
            request.split,
            material.probe.model_dump(mode="json", exclude={"seeds", "steps"}),
            scorer_digest(material.scorer, material.folder),
            environment(use_devices(request.runner.gpus_per_worker), 1),
            code_digest(),
        ]

        self._programs = [] if request.llama_cpp is None else request.llama_cpp.digests(SERVER, QUANTIZE)

    def of(self, side: AnsweringSide, seed: int) -> str:
        form = [side.form, *([] if side.form == MERGED else self._programs)] if side.form else []
        return digest_of([*self._parts, side.digest, seed, *form])[:12]


def _figures(side: AnsweringSide, answers: Mapping[AnsweringSide, Answers], confidence: float) -> SideFigures:
    """The figures of one side, from the answers of all sides."""
    given = answers[side]
    own = [answer for by_seed in given.values() for answer in by_seed]
    base = next(answers[one] for one in answers if one.adapter is None)
    adapter = next((answers[one] for one in answers if (one.digest, one.form) == (side.digest, "")), base)
    compared = side.adapter is not None
    return SideFigures(
        side=side,
        levels=levels(given, confidence),
        changes=changes(base, given, confidence) if compared else (),
        examples=examples(base, given) if compared else (),
        critical=sum(bool(answer.critical) for answer in own),
        missing=sum(answer.score is None for answer in own),
        from_adapter=changes(adapter, given, confidence) if side.form else (),
    )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for merged models, beside the answers, since /tmp may be small."""
    with TemporaryDirectory(prefix=".models-", dir=folder) as name:
        yield Path(name)


def _earlier_looks(request: StudyRequest, runs: Path) -> int:
    """The number of complete evaluations in this workspace on the same prompts and split."""
    prompts, looks = rows_digest(request.material.prompt_file), 0
    for path in runs.glob(f"evaluation-*/{FIGURES}"):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            own = (found.get("kind"), found.get("split"), found.get("prompts_digest"))
            looks += own == (KIND, request.split, prompts)
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
    return looks
