"""Scores hostile answers like an evaluation does: programs of testing/attacks, and texts that attack the parser.

    python -m testing.hostile_answers [--json]

All are answers to one problem whose tests have a secret. Right answers are mixed in and must pass. Programs that forge
what they return also answer a problem with cases, whose values are read in this process, in all lanes at once. Exit
status 0 if no hostile answer passed, none ended the evaluation, and this process stayed below its limit of memory.
"""

import argparse
import json
import resource
import secrets
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from common.parallel import cores
from probes.inputs.prompts import Prompt
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings
from probes.scoring.protocol import Answer, ScorerBroken
from sandbox.outside.process_stats import peak_mb
from testing.attacks import ATTACKS
from testing.attacks.host import Host
from testing.attacks.texts import TEXTS
from testing.hostile_suite import MOST_MB

RIGHT_EVERY = 10
LANES = max(4, cores())
CASES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """classes: the number of answers by failure class. ended_evaluation: answers that could not be judged, which would
    end an evaluation. peak_mb, cpu: of this process, which reads the output of the programs."""

    answers: int
    false_passes: tuple[str, ...]
    wrongly_failed: int
    ended_evaluation: tuple[str, ...]
    classes: dict[str, int]
    peak_mb: float
    cpu: float
    seconds: float

    @classmethod
    def parse(cls, text: str) -> "Judged":
        """Read the output of `--json`."""
        items = json.loads(text).items()
        fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in items}
        return cls(**fields)

    @property
    def holds(self) -> bool:
        return not (self.false_passes or self.wrongly_failed or self.ended_evaluation) and self.peak_mb < MOST_MB


def judge() -> Judged:
    begun = time.monotonic()
    right = secrets.token_hex(16)
    hostile = [(attack.name, attack.source) for attack in ATTACKS] + list(TEXTS.items())
    forging = [(attack.name, attack.source) for attack in ATTACKS if attack.group == "forgery"]
    honest = ("", f"def f(x):\n    return {right!r}")
    scorer = ExecutionScorer(ExecutionSettings(seconds=0.5, memory_mb=128))
    with Host() as host:
        x = host.target(0)
        tests = {"setup": f"def check(f):\n    assert f({x!r}) == {right!r}", "tests": ["check(f)"]}
        cases = {"cases": [{"args": [x], "expected": right}] * CASES}
        under_tests, under_cases = (
            Prompt("hostile", "probe", "hostile", 1, "def f(x):\n", {"entry_point": "f", **checks})
            for checks in (tests, cases)
        )
        answers: list[tuple[str, Answer]] = []
        for number, (name, text) in enumerate(hostile):
            answers += [_answer(under_tests, *honest)] if number % RIGHT_EVERY == 0 else []
            answers.append(_answer(under_tests, name, text))
        answers += [_answer(under_cases, name, text) for name, text in (honest, *forging) for _ in range(LANES)]
        try:
            passed, ended, classes = _verdicts(scorer, answers)
        finally:
            scorer.close()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Judged(
        answers=sum(name != "" for name, _ in answers),
        false_passes=tuple(name for name in passed if name),
        wrongly_failed=sum(name == "" for name, _ in answers) - passed.count(""),
        ended_evaluation=tuple(ended),
        classes=dict(classes.most_common()),
        peak_mb=round(peak_mb(), 1),
        cpu=round(usage.ru_utime + usage.ru_stime, 1),
        seconds=round(time.monotonic() - begun, 1),
    )


def _answer(prompt: Prompt, name: str, text: str) -> tuple[str, Answer]:
    return name, Answer(prompt, f"```python\n{text}\n```")


def _verdicts(scorer: ExecutionScorer, answers: list[tuple[str, Answer]]) -> tuple[list[str], list[str], Counter[str]]:
    passed: list[str] = []
    ended: list[str] = []
    classes: Counter[str] = Counter()
    judged = scorer.judged([answer for _, answer in answers], LANES)
    for (name, _), future in zip(answers, judged, strict=True):
        try:
            mark = future.result()
        except ScorerBroken:
            ended.append(name)
            continue
        classes[mark.outcome] += 1
        if mark.value > 0:
            passed.append(name)
    return passed, ended, classes


def text(judged: Judged) -> str:
    """The result for a terminal."""
    counts = (
        f"{judged.answers} hostile answers judged as an evaluation does: {len(judged.false_passes)} false passes, "
        f"{len(judged.ended_evaluation)} evaluations ended, {judged.wrongly_failed} right answers failed; our process "
        f"took {judged.peak_mb:.0f} MB and {judged.cpu:.1f} s of processor time in {judged.seconds:.0f} s"
    )
    classes = "  " + ", ".join(f"{name} {number}" for name, number in judged.classes.items())
    passed = [f"  PASSED  {name}" for name in judged.false_passes]
    ended = [f"  ENDED IT  {name}" for name in judged.ended_evaluation]
    return "\n".join([counts, classes, *passed, *ended])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    found = judge()
    print(json.dumps(asdict(found)) if parser.parse_args().json else text(found))
    sys.exit(0 if found.holds else 1)
