"""Writes train.jsonl while an adapter is trained; curve.py reads it."""

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common.files import write_durably
from probes.train.curve import LOGGED, read_curve
from probes.train.job import SHORT, Diverged, LongRun, OnStep


class CurveWriter:
    """Writes one JSON line per step, calls the listeners, and raises Diverged if the loss or gradient norm is not
    finite. A run that resumes from a checkpoint keeps the lines up to the checkpoint's step."""

    def __init__(
        self,
        path: Path,
        on_step: OnStep,
        long: LongRun = SHORT,
        seen: Sequence[int] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``seen``: the number of tokens up to each step. ``clock``: seconds that count as training time of this
        run."""
        self.on_step, self.long, self.seen, self._clock = on_step, long, seen, clock
        kept = read_curve(path, long.step)
        last = kept[-1] if kept else {}
        self.last = {name: float(last[name]) for name in LOGGED if last.get(name) is not None}
        self.before = float(last.get("seconds", 0))
        write_durably(path, "".join(json.dumps(line) + "\n" for line in kept))  # drops lines after the checkpoint
        self.file = path.open("a", encoding="utf-8")
        self.start()

    def start(self) -> None:
        """Start counting the time of training."""
        self.started = self._clock() - self.before

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a checkpoint included."""
        return self._clock() - self.started

    def add(self, step: int, logs: Mapping[str, float]) -> None:
        """Write the line of a step. ``logs``: figures by their names in TRL's log."""
        line = {name: float(logs[key]) for name, key in LOGGED.items() if key in logs}
        finite = {name: value for name, value in line.items() if math.isfinite(value)}
        seconds = self.seconds
        stamp = {"step": step, "seconds": round(seconds, 3)}
        more = self.long.figures(step, seconds, self.seen[step]) if self.seen else {}
        whole = {**stamp, **{name: finite.get(name) for name in line}, **more}
        self.file.write(json.dumps(whole) + "\n")
        self.file.flush()
        self.on_step(step, line["loss"])
        for name in ("loss", "grad_norm"):
            if name in line and name not in finite:
                raise Diverged(f"{name} is {line[name]} at step {step}")
        self.last = finite
        self.long.on_line(whole)

    def close(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
