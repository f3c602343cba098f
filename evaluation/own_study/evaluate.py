"""``nightlane evaluate STUDY``: the base and adapters answer the study's prompts, and are compared pair by pair.

Nothing of it enters a session's ledger. runs/evaluation-ID/   answers-*.jsonl   report.md   evaluation.json, last
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.digests import digest_of
from common.errors import BadInput
from evaluation.own_study.adapters import require_own_adapter
from evaluation.own_study.answers import AnsweringSide, write_scored_answers
from evaluation.own_study.figures import Answers, Change, Example, Level, changes, examples, levels
from evaluation.own_study.stored import read_answers, take_over, write_whole
from evaluation.results import FIGURES, new_folder
from probes.endpoint.spending import SpendingMeter, Usage
from probes.inputs.files.records import rows_digest
from probes.inputs.material import Material, code_digest
from probes.inputs.prompts import Prompt
from probes.inputs.settings import MemorySettings
from probes.model.load import adapter_digest, base_digest
from probes.run.devices import visible_devices
from probes.run.execute import Workbench
from probes.scoring import scorer_class, scorer_digest
from probes.scoring.failures import scorer_failures_reported

SPLITS = ("probe", "holdout")
BASE = "base"
KIND = "study"
"""Of evaluation.json: what tells such an evaluation from one on problems."""

Note = Callable[[str], None]


@dataclass(frozen=True)
class StudyRequest:
    """What to evaluate. ``seeds``: how many sampling seeds. BadInput for another split, fewer than one seed, and an
    adapter that is named twice."""

    name: str
    material: Material
    target: str
    guards: Mapping[str, float]
    quantization: str
    memory: MemorySettings = field(default_factory=MemorySettings)
    adapters: tuple[Path, ...] = ()
    split: str = "probe"
    seeds: int = 3
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise BadInput(f"--split {self.split!r} is not one that a study is evaluated on; use {' or '.join(SPLITS)}")
        if self.seeds < 1:
            raise BadInput(f"--seeds {self.seeds} is how many sampling seeds a study is asked with; give 1 or more")
        twice = [one for place, one in enumerate(self.adapters) if one in self.adapters[:place]]
        if twice:
            raise BadInput(f"--adapter {twice[0]} is given twice; leave one of them out")

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        found = self.material.prompts_of(self.split)
        if not found:
            raise BadInput(f"{self.material.prompt_file} has no prompt of the split {self.split!r}; add some")
        return found


@dataclass(frozen=True)
class SideFigures:
    """One side. ``changes``, ``examples``: against the base; empty for the base. ``missing``: answers without a
    score."""

    side: AnsweringSide
    levels: tuple[Level, ...]
    changes: tuple[Change, ...]
    examples: tuple[Example, ...]
    critical: int
    missing: int


@dataclass(frozen=True)
class StudyEvaluation:
    """``texts``: of the prompts of the examples, by id. ``earlier_looks``: evaluations of this study on the same
    prompts of the split that this workspace has already. ``taken_over``: files of answers that earlier ones had."""

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
    sides = [AnsweringSide(BASE, None, ""), *(AnsweringSide(str(a), a, adapter_digest(a)) for a in request.adapters)]
    known = Identities(request)
    wanted = {(side, seed): known.of(side, seed) for side in sides for seed in range(1, request.seeds + 1)}
    missing = {place: identity for place, identity in wanted.items() if not take_over(identity, folder)}
    if taken := len(wanted) - len(missing):
        note(f"taken over from earlier evaluations: {taken} of {len(wanted)} sets of answers")
    spent = _ask(request, prompts, missing, folder, note) if missing else SpendingMeter().spent
    answers = {
        side: {seed: read_answers(wanted[side, seed], folder) for seed in range(1, request.seeds + 1)} for side in sides
    }
    figures = tuple(_figures(side, answers[side], answers[sides[0]], request.confidence) for side in sides)
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
    bench = Workbench(request.material, "cuda:0" if visible_devices() else "cpu", {}, request.memory)
    number = len(prompts) * request.material.probe.samples
    try:
        with scorer_failures_reported(), SpendingMeter() as meter:
            note(bench.open_scorer().about)
            use_few_threads(bench.base(request.quantization))
            for (side, seed), identity in wanted.items():
                note(f"{side.name}, seed {seed} of {request.seeds}: {number} answers")
                write_whole(
                    identity,
                    folder,
                    lambda path, side=side, seed=seed: write_scored_answers(  # type: ignore[misc]
                        bench, request.quantization, side, prompts, seed, path, meter, note
                    ),
                )
            return meter.spent
    finally:
        bench.close()


class Identities:
    """Names a side's answers with a seed by all that decides them."""

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
            environment("cuda:0" if visible_devices() else "cpu", 1),
            code_digest(),
        ]

    def of(self, side: AnsweringSide, seed: int) -> str:
        return digest_of([*self._parts, side.digest, seed])[:12]


def _figures(side: AnsweringSide, answers: Answers, base: Answers, confidence: float) -> SideFigures:
    own = [answer for by_seed in answers.values() for answer in by_seed]
    compared = side.adapter is not None
    return SideFigures(
        side=side,
        levels=levels(answers, confidence),
        changes=changes(base, answers, confidence) if compared else (),
        examples=examples(base, answers) if compared else (),
        critical=sum(bool(answer.critical) for answer in own),
        missing=sum(answer.score is None for answer in own),
    )


def _earlier_looks(request: StudyRequest, runs: Path) -> int:
    """Complete evaluations of this study on this split and these prompts."""
    prompts, looks = rows_digest(request.material.prompt_file), 0
    for path in runs.glob(f"evaluation-*/{FIGURES}"):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            own = (found.get("kind"), found.get("split"), found.get("prompts_digest"))
            looks += own == (KIND, request.split, prompts)
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
    return looks
