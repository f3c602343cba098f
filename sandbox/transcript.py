"""What one program said on its channel, judged outside: each frame is checked here, and nothing in it is believed
beyond "this program says so"."""

from typing import Any

from sandbox import protocol, values
from sandbox.outcomes import Ended, Outcome, Raised, Returned

_NAME, _MESSAGE = 100, 500
_SMALL = 16 * 1024  # an exception's frame: 600 characters of twelve bytes, and some to spare


class ChildBroken(RuntimeError):
    """The child could not confine itself, so no program was run."""


class Transcript:
    """Frames in order: ready, then loaded or what happened instead, then one per call."""

    def __init__(self, calls: int, output_bytes: int) -> None:
        self._calls = calls
        self._output_bytes = output_bytes
        self._frames = protocol.FrameBuffer(max(output_bytes + protocol.ENVELOPE, _SMALL))
        self._fault: Ended | None = None
        self.ready = False
        self.loaded = False
        self.refused: Raised | Ended | None = None
        self.outcomes: list[Outcome] = []

    @property
    def finished(self) -> bool:
        """Whether anything more that the program says would be ignored."""
        complete = self.loaded and len(self.outcomes) == self._calls
        return complete or self.refused is not None or self._fault is not None

    def feed(self, data: bytes) -> None:
        """Take what was read; ChildBroken when the child says, before any program ran, that it could not begin."""
        if self.finished:
            return
        self._frames.feed(data)
        try:
            while not self.finished and (body := self._frames.next_body()) is not None:
                self._take(body)
        except protocol.FrameTooLarge as refusal:
            self._fault = Ended("output", str(refusal))
        except ValueError as refusal:
            self._fault = Ended("unrepresentable", f"the program wrote something else than a value: {refusal}"[:500])

    def _take(self, body: bytes) -> None:
        frame = protocol.unpack(body)
        if not self.ready:
            if frame != ["ready"]:
                raise ChildBroken(str(frame)[:500])
            self.ready = True
        elif not self.loaded and frame == ["loaded"]:
            self.loaded = True
        else:
            outcome = self._outcome(frame, len(body))
            if self.loaded:
                self.outcomes.append(outcome)
            elif isinstance(outcome, Returned):
                raise ValueError("a value before the source was loaded")
            else:
                self.refused = outcome

    def _outcome(self, frame: Any, size: int) -> Outcome:
        match frame:
            case ["returned", form]:
                if size > self._output_bytes + protocol.ENVELOPE:
                    return Ended("output", f"a value may take {self._output_bytes} bytes at most; return less")
                return Returned(values.decode(form))
            case ["raised", str(name), str(message)]:
                return Raised(name[:_NAME], message[:_MESSAGE])
            case ["ended", "memory" | "output" | "unrepresentable" as reason, str(detail)]:
                return Ended(reason, detail[:_MESSAGE])
        raise ValueError("there is no such frame")  # not quoted: its depth could exhaust repr()

    def close(self, ended: Ended) -> None:
        """The process is gone: calls that were not answered get `ended`, or what it said wrong before."""
        reason = self._fault or ended
        if not self.loaded:
            self.refused = self.refused or reason
        elif self.refused is None:
            self.outcomes += [reason] * (self._calls - len(self.outcomes))
