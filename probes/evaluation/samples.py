"""A file of samples in the form of HumanEval's own harness: ``task_id`` and ``completion`` per line, JSONL or gzip."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from lanes.errors import BadInput
from probes.evaluation.problems import Row, task_id
from probes.prompts import read_jsonl


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer as the model gave it. ``sample`` counts from 0 per problem and seed."""

    seed: int
    sample: int
    text: str


@dataclass(frozen=True, slots=True)
class SampleSet:
    """Samples by problem, in the order of the file; how many rows each unknown id has; problems without a sample."""

    samples: Mapping[str, tuple[Sample, ...]]
    unknown: Mapping[str, int]
    missing: tuple[str, ...]


def load_samples(path: Path, ids: Collection[str]) -> SampleSet:
    """The samples of the problems ``ids``; a column ``seed`` (a whole number) may say which seed drew each.

    BadInput for a row without a task_id or a text, and for a file without a single known id.
    """
    found: dict[str, list[Sample]] = {name: [] for name in ids}
    unknown: Counter[str] = Counter()
    numbers: Counter[tuple[str, int]] = Counter()
    for line, row in read_jsonl(path):
        name, seed, text = task_id(path, line, row), _seed(path, line, row), _completion(path, line, row)
        if name not in found:
            unknown[name] += 1
            continue
        found[name].append(Sample(seed, numbers[name, seed], text))
        numbers[name, seed] += 1
    if not numbers:
        given = f"its first is {next(iter(unknown))!r}" if unknown else "it is empty"
        wanted = f", the problems' first is {next(iter(ids))!r}" if ids else ""
        raise BadInput(f"{path} has no task_id of the problem file ({given}{wanted}); give samples of these problems")
    samples = {name: tuple(own) for name, own in found.items() if own}
    return SampleSet(samples, dict(unknown), tuple(name for name in found if name not in samples))


def _completion(path: Path, line: int, row: Row) -> str:
    text = row.get("completion")
    if not isinstance(text, str):
        raise BadInput(f"{path}, line {line}: completion must be a text and is {_shown(text)}; mend the row")
    return text


def _seed(path: Path, line: int, row: Row) -> int:
    seed = row.get("seed", 0)
    if type(seed) is not int:
        raise BadInput(f"{path}, line {line}: seed must be a whole number and is {_shown(seed)}; mend the row")
    return seed


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:60]
