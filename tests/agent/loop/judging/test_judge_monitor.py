"""An examiner that fails ends a command with a sentence."""

from pathlib import Path
from typing import Any

import pytest

from agent.loop.judging.judge_monitor import JudgeMonitor
from agent.study.load import Study
from common.errors import MissingRequirement
from probes.endpoint.spending import Allowance
from probes.scoring.protocol import ScorerBroken


class BrokenExaminer:
    """Its cache cannot be written."""

    def prefer(self, *_: object) -> list[float]:
        raise ScorerBroken("the judge's cache: disk I/O error")

    examine = prefer


def test_a_cache_that_cannot_be_written_is_told_in_a_sentence(study: Study, tmp_path: Path) -> None:
    examiner: Any = BrokenExaminer()
    monitor = JudgeMonitor(
        examiner, study, lambda: Allowance(file=tmp_path / "judging.sqlite", session="s"), lambda text: None
    )
    for ask in (lambda: monitor.choices([]), monitor.begin):
        with pytest.raises(MissingRequirement, match=r"could not be judged .*disk I/O error"):
            ask()
