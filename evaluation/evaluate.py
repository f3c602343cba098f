"""``nightlane evaluate``: answers to problems from models or a file, executed in the sandbox.

runs/evaluation-ID/   answers-1.jsonl (and -2: before, after), written as they come   results.jsonl
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from common.errors import BadInput, EndpointUnavailable
from common.parallel import cores
from evaluation.answering import Answerer, Asking, ServedModel, load
from evaluation.problems import Problem, ProblemSet, RefusedProblem, load_problems
from evaluation.results import Evaluation, ModelResults, ScoredSample, new_folder, to_json
from evaluation.samples import SampleSet, load_samples
from probes.inputs.settings import ModelSettings
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings
from probes.scoring.failures import scorer_failures_reported
from probes.scoring.protocol import Answer, ChecksBroken, Mark

SEEDS = (42, 123, 7)
KS = (1, 5, 10, 100)
ENDPOINT_SECONDS = 300.0  # an answer of a served model may take
SCORED_BETWEEN_NOTES = 200  # answers between two notes
LANES = max(3, cores() + 1)  # answers scored at once; each waits a little between its two processes

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What to evaluate: a model (with an adapter: both, and their difference), an endpoint's model, or a file of
    samples (with ``before``: both files, and their difference). BadInput for none or several of these. ``folder``: for
    relative paths of the model."""

    problems: Path
    model: ModelSettings | None = None
    adapter: Path | None = None
    endpoint: str = ""
    samples: Path | None = None
    before: Path | None = None
    quantization: str = "none"
    seeds: tuple[int, ...] = SEEDS
    asking: Asking = field(default_factory=Asking)
    scorer: ExecutionSettings = field(default_factory=ExecutionSettings)
    folder: Path = Path()

    def __post_init__(self) -> None:
        sources = {"--model": self.model, "--endpoint": self.endpoint, "--samples": self.samples}
        given = [name for name, value in sources.items() if value]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise BadInput(f"answers come from one of {', '.join(sources)}, and {found} was given; give one of them")
        if self.adapter and not self.model:
            raise BadInput("--adapter is put on a base model; name that with --model")
        if self.before and not self.samples:
            raise BadInput("--before is compared with a file of samples; give that with --samples")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise BadInput(f"--seeds {','.join(map(str, self.seeds))} must be different numbers; give 42,123,7 say")


def evaluate(request: EvaluationRequest, runs: Path, note: Note) -> tuple[Evaluation, Path]:
    """Evaluate, and return the result and the new folder under ``runs`` that holds its files. ``note`` gets a line for
    each step."""
    begun = time.monotonic()
    with _scorer(request.scorer) as scorer, scorer_failures_reported():
        note(scorer.about)
        problem_set = load_problems(request.problems)
        usable = verified(problem_set, scorer)
        folder = new_folder(runs)
        refused = f", {len(usable.refused)} refused" if usable.refused else ""
        note(f"usable problems: {len(usable.problems)}{refused}; answers and results go to {folder}")
        sides, samples = [], SampleSet({}, {}, ())
        for name, samples in _sides(request, usable.problems, problem_set.ids, folder, note):
            note(f"scoring {name}")
            results = _written(_results(samples, usable.problems, scorer, note), name, folder / "results.jsonl")
            sides.append(ModelResults(name, results))
    came = sum(len(side.results) for side in sides)
    asked = 0 if request.samples else len(usable.problems) * request.asking.samples * len(request.seeds) * len(sides)
    refused_ids = {refused.task_id for refused in usable.refused}
    unknown = {name: number for name, number in samples.unknown.items() if name not in refused_ids}
    return Evaluation(
        problems_file=str(request.problems),
        problems=len(usable.problems),
        refused=usable.refused,
        unknown=unknown,
        missing=samples.missing,
        sides=tuple(sides),
        ks=_ks(sides),
        seconds=time.monotonic() - begun,
        unanswered=max(0, asked - came),
    ), folder


def verified(problems: ProblemSet, scorer: ExecutionScorer) -> ProblemSet:
    """Refuse the problems that their own published solution does not solve."""
    good: list[Problem] = []
    refused = list(problems.refused)
    marks = scorer.judged([_own_answer(problem) for problem in problems.problems], LANES)
    for problem, mark in zip(problems.problems, marks, strict=True):
        if why := _fault(problem, mark):
            refused.append(RefusedProblem(problem.prompt.id, problem.line, why))
        else:
            good.append(problem)
    if not good:
        raise BadInput(
            f"no problem is solved by its own solution ({refused[0].task_id}: {refused[0].why}); mend the file"
        )
    return replace(problems, problems=tuple(good), refused=tuple(refused))


def _own_answer(problem: Problem) -> Answer:
    """The published solution, or else a function that does nothing, which shows that the tests can run."""
    nothing = f"def {problem.prompt.checks['entry_point']}(*arguments): pass"
    return Answer(problem.prompt, nothing if problem.reference is None else problem.reference)


def _fault(problem: Problem, judged: "Future[Mark]") -> str:
    """Why a problem is unusable: its solution fails or its tests cannot run; "" if it is usable."""
    try:
        mark = judged.result()
    except ChecksBroken as error:
        return str(error)
    fails = problem.reference is not None and mark.outcome != "PASS"
    return f"its own solution fails: {mark.outcome}, {mark.note}" if fails else ""


def _sides(
    request: EvaluationRequest, problems: Sequence[Problem], order: Sequence[str], folder: Path, note: Note
) -> Iterator[tuple[str, SampleSet]]:
    """The name and samples of each side: from files, or generated and written to ``folder``."""
    ids = [problem.prompt.id for problem in problems]
    files = [path for path in (request.before, request.samples) if path is not None]
    yield from ((str(path), load_samples(path, ids, order)) for path in files)
    for number, answerer in enumerate(_answerers(request), start=1):
        path = folder / f"answers-{number}.jsonl"
        _draw(answerer, problems, request, path, note)
        yield answerer.name, load_samples(path, ids)


def _answerers(request: EvaluationRequest) -> Sequence[Answerer]:
    if request.model is not None:
        return load(request.model, request.folder, request.quantization, request.adapter)
    if not request.endpoint:
        return ()
    from probes.endpoint.client import Endpoint, EndpointSettings

    settings = EndpointSettings(
        timeout=ENDPOINT_SECONDS,
        max_tokens=request.asking.max_new_tokens,
        temperature=request.asking.temperature,
        remedy=", or give --model or --samples",
    )
    endpoint = Endpoint(settings, request.endpoint, os.environ)
    endpoint.check()
    return [ServedModel(request.endpoint, endpoint)]


def _draw(answerer: Answerer, problems: Sequence[Problem], request: EvaluationRequest, path: Path, note: Note) -> None:
    """Append the answers of each seed when they are complete, so that an interruption loses one seed at most."""
    for seed in request.seeds:
        done = 0

        def show_progress(more: int, seed: int = seed) -> None:
            nonlocal done
            done += more
            note(f"{answerer.name}, seed {seed}: {done} of {len(problems)} problems answered")

        texts = answerer.answers(problems, request.asking, seed, show_progress)
        rows = [
            {"task_id": problem.prompt.id, "seed": seed, "completion": text}
            for problem, own in zip(problems, texts, strict=True)
            for text in own
        ]
        if not rows:
            raise EndpointUnavailable(f"{answerer.name} answered none of {len(problems)} problems; see that it serves")
        with path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)


def _results(
    samples: SampleSet, problems: Sequence[Problem], scorer: ExecutionScorer, note: Note
) -> Iterator[ScoredSample]:
    asked = [(problem.prompt, sample) for problem in problems for sample in samples.samples.get(problem.prompt.id, ())]
    marks = scorer.judged([Answer(prompt, sample.text) for prompt, sample in asked], LANES)
    for done, ((prompt, sample), judged) in enumerate(zip(asked, marks, strict=True)):
        if done and done % SCORED_BETWEEN_NOTES == 0:
            note(f"{done} of {len(asked)} answers scored")
        mark = judged.result()
        yield ScoredSample(
            problem=prompt.id,
            category=prompt.category,
            seed=sample.seed,
            sample=sample.sample,
            answer=sample.text,
            passed=mark.outcome == "PASS",
            failure_class=mark.outcome,
            score=mark.value,
            note=mark.note,
            format_only=mark.format_only,
        )


def _written(results: Iterator[ScoredSample], side: str, path: Path) -> tuple[ScoredSample, ...]:
    """Append each result to ``path`` at once, so that an interruption loses none."""
    written = []
    with path.open("a", encoding="utf-8") as stream:
        for result in results:
            stream.write(json.dumps({"side": side, **to_json(result)}) + "\n")
            stream.flush()
            written.append(result)
    return tuple(written)


def _ks(sides: Sequence[ModelResults]) -> tuple[int, ...]:
    """The usual k up to the number of answers per problem and seed, and that number."""
    most = 1 + max(result.sample for side in sides for result in side.results)
    return tuple(sorted({most, *(k for k in KS if k <= most)}))


@contextmanager
def _scorer(settings: ExecutionSettings) -> Iterator[ExecutionScorer]:
    scorer = ExecutionScorer(settings)
    try:
        yield scorer
    finally:
        scorer.close()
