"""A file of the study that is empty, cut off or gone for a moment, since somebody saves it, ends no night."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from long_cases import long_case
from sessions import ledger_of, play

from agent.loop import measurements
from agent.loop.measurements import READ_AGAIN_AFTER, Measurements
from agent.study.load import Study
from common.errors import BadInput, StudyChanged
from testing.simulated_runner import SimulatedRunner

SEED = 2  # of a session whose first changes are decided on


class Saving:
    """Meddles with a file after the baseline, and puts it back in the middle of the n-th pause."""

    def __init__(self, path: Path, half: Callable[[Path, bytes], Any], pauses: int) -> None:
        self.path, self.half, self.left, self.whole = path, half, pauses, path.read_bytes()
        self.paused: list[float] = []
        self.meddled = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original, made = SimulatedRunner.run, Measurements.__post_init__

        def run(runner: SimulatedRunner, batch: Any, *others: Any) -> Any:
            outcomes = original(runner, batch, *others)
            if not self.meddled:
                self.meddled = True
                self.half(self.path, self.whole)
            return outcomes

        def post_init(mine: Measurements) -> None:
            made(mine)
            mine.pause = self.pause

        monkeypatch.setattr(SimulatedRunner, "run", run)
        monkeypatch.setattr(Measurements, "__post_init__", post_init)

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.left -= 1
        if self.left == 0:
            self.path.write_bytes(self.whole)


HALVES: dict[str, Callable[[Path, bytes], Any]] = {
    "empty": lambda path, whole: path.write_bytes(b""),
    "gone": lambda path, whole: path.unlink(),
    "cut off": lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
    "cut off in a letter": lambda path, whole: path.write_bytes(whole[: len(whole) // 2] + b"\xc3"),
    "another text": lambda path, whole: path.write_bytes(whole.replace(b"lists", b"words")),
}


@pytest.mark.parametrize(
    ("file", "half"),
    [
        ("study.toml", "empty"),
        long_case(("study.toml", "cut off in a letter")),
        ("prompts.jsonl", "gone"),
        long_case(("prompts.jsonl", "another text")),
        ("good.jsonl", "cut off"),
    ],
)
def test_a_file_that_is_whole_again_within_seconds_changed_nothing(
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    half: str,
) -> None:
    saving = Saving(tmp_path / "study" / file, HALVES[half], pauses=3)
    saving.install(monkeypatch)
    play(study, tmp_path, seed=SEED, decisions=1)
    assert saving.paused == list(READ_AGAIN_AFTER[:3])
    with ledger_of(tmp_path) as ledger:
        assert (row := ledger.session()) is not None
        assert row.finish_reason == "1 decision made, the budget"


def test_a_worker_that_read_a_half_saved_file_is_asked_once_more(
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, asked = SimulatedRunner.run, list[int]()

    def refuse_once(runner: SimulatedRunner, batch: Any, *others: Any) -> Any:
        asked.append(len(batch))
        if len(asked) == 1:
            original(runner, batch[:1], *others)
            raise BadInput("prompts.jsonl, line 7 is no JSON object")
        return original(runner, batch, *others)

    monkeypatch.setattr(SimulatedRunner, "run", refuse_once)
    play(study, tmp_path, decisions=1)
    assert asked[:2] == [2, 1], "what the first had measured is not measured again"


def test_a_file_that_stays_changed_is_believed_after_a_few_seconds(
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saving = Saving(tmp_path / "study" / "prompts.jsonl", HALVES["gone"], pauses=-1)
    saving.install(monkeypatch)
    with pytest.raises(StudyChanged, match="cannot be read any more"):
        play(study, tmp_path, decisions=1)
    assert saving.paused == list(measurements.READ_AGAIN_AFTER)
    assert 2 <= sum(saving.paused) <= 5
