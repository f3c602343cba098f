"""The progress of a full-length run on the terminal."""

import io
import re

import pytest
from rich.console import Console

from view.terminal import finetune
from view.terminal.finetune import PROGRESS_LINES, training


@pytest.mark.parametrize("steps", [1, 3, PROGRESS_LINES, 1000])
def test_a_pipe_gets_the_first_and_the_last_step_and_some_between(
    steps: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with training(steps) as tell:
        for step in range(1, steps + 1):
            tell({"step": step, "loss": 1 / step})
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert lines[0] == f"step 1 of {steps}, loss 1.0000"
    assert lines[-1] == f"step {steps} of {steps}, loss {1 / steps:.4f}"
    assert min(steps, PROGRESS_LINES) <= len(lines) <= PROGRESS_LINES + 1


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(finetune, "Terminal", lambda: Console(file=stream, force_terminal=True, width=100))
    with training(8) as tell:
        tell({"step": 8, "loss": 0.25, "token_accuracy": 0.5, "tokens_per_second": 12.3, "seconds_left": 61.0})
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "8/8 loss 0.2500, token accuracy 0.500, 12 tokens/s, 0:01:01 left" in shown
