"""Reads files of samples: JSON lines (or gzipped), or one JSON list. The columns of a row show its form:

    human-eval   {"task_id": "HumanEval/0", "completion": "    return 1"}
    evalplus     {"task_id": "HumanEval/0", "solution": "def f(x):\\n    return 1"}      the whole program
    bigcode      [["def f(x):\\n    return 1", "..."], ...]      a list per problem, in the order of the problem file
                 {"task_id": "HumanEval/0", "generation": "..."}
    lm-eval      {"doc_id": 0, "doc": {"task_id": "HumanEval/0", ...}, "resps": [["..."]], "filtered_resps": ["..."]}

A text may also be a list of texts, one for each sample.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import BadInput
from evaluation.problems import ProblemRow, task_id
from probes.inputs.files.text import read_jsonl, read_text

_TEXTS = ("solution", "completion", "generation")
_FORMS = "completion (human-eval), solution (evalplus), generation (bigcode) or doc and resps (lm-eval)"


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of the model. ``sample`` counts from 0 per problem and seed."""

    seed: int
    sample: int
    text: str


@dataclass(frozen=True, slots=True)
class SampleSet:
    """Samples by problem; the number of rows by unknown id; the problems without a sample."""

    samples: Mapping[str, tuple[Sample, ...]]
    unknown: Mapping[str, int]
    missing: tuple[str, ...]


def load_samples(path: Path, ids: Collection[str], order: Sequence[str] = ()) -> SampleSet:
    """Read the samples of the problems ``ids``. A column ``seed`` (a whole number) may name the sampling seed.

    order: the ids of all rows of the problem file, for lists without ids. BadInput for a row without a task_id or a
    text, and for a file without a known id.
    """
    samples_by_id: dict[str, list[Sample]] = {name: [] for name in ids}
    unknown: Counter[str] = Counter()
    numbers: Counter[tuple[str, int]] = Counter()
    for name, seed, text in _answers(path, order or tuple(ids)):
        # evalplus writes "Mbpp/" before the numbers of MBPP
        if name not in samples_by_id and name.removeprefix("Mbpp/") in samples_by_id:
            name = name.removeprefix("Mbpp/")
        if name not in samples_by_id:
            unknown[name] += 1
            continue
        samples_by_id[name].append(Sample(seed, numbers[name, seed], text))
        numbers[name, seed] += 1
    if not numbers:
        first = f"its first is {next(iter(unknown))!r}" if unknown else "it is empty"
        wanted = f", the problems' first is {next(iter(ids))!r}" if ids else ""
        raise BadInput(f"{path} has no task_id of the problem file ({first}{wanted}); give samples of these problems")
    samples = {name: tuple(own) for name, own in samples_by_id.items() if own}
    return SampleSet(samples, dict(unknown), tuple(name for name in samples_by_id if name not in samples))


def _answers(path: Path, order: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """(task_id, seed, text) of each sample in a file of any form."""
    wanted: object = None
    for place, (line, row) in enumerate(_rows(path)):
        if isinstance(row, list):
            if place >= len(order):
                raise BadInput(
                    f"{path} has a list for each problem, and more than the {len(order)} of the problem file"
                )
            yield from ((order[place], 0, text) for text in _texts(path, line, row))
            continue
        if "completion" not in row and ("resps" in row or "filtered_resps" in row):
            doc = row.get("doc")
            if not isinstance(doc, dict):
                raise BadInput(
                    f"{path}, line {line}: a sample of lm-eval has its problem in doc; run it with --log_samples"
                )
            # One row for each filter of the task: the first is taken, so that no answer counts twice.
            wanted = row.get("filter") if place == 0 else wanted
            if row.get("filter") == wanted:
                texts = _texts(path, line, row.get("filtered_resps") or row.get("resps"))
                yield from ((task_id(path, line, doc), 0, text) for text in texts)
            continue
        name, seed = task_id(path, line, row), _seed(path, line, row)
        given = [row[column] for column in _TEXTS if column in row]
        if not given:
            raise _no_text(path, line, "missing")
        text = next((one for one in given if one is not None), None)
        yield from ((name, seed, text) for text in _texts(path, line, text))


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(line or place, row) of JSON lines, or of one JSON list."""
    text = read_text(path).lstrip()
    if not text.startswith("["):
        yield from read_jsonl(path)
        return
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} begins like a JSON list but is not valid JSON ({error}); mend the file") from None
    for place, row in enumerate(rows, start=1):
        if not isinstance(row, dict | list):
            raise BadInput(f"{path}, item {place}: a JSON list holds rows, or a list of texts per problem; mend it")
        yield place, row


def _texts(path: Path, line: int, value: object) -> Iterator[str]:
    """The text, or each text of lists of them, which lm-eval nests."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(path, line, inner)
    else:
        raise _no_text(path, line, _shown(value))


def _no_text(path: Path, line: int, value: str) -> BadInput:
    return BadInput(f"{path}, line {line}: a sample is a text in {_FORMS}, and here it is {value}; mend the row")


def _seed(path: Path, line: int, row: ProblemRow) -> int:
    seed = row.get("seed", 0)
    if type(seed) is not int:
        raise BadInput(f"{path}, line {line}: seed must be a whole number and is {_shown(seed)}; mend the row")
    return seed


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)[:60]
