"""One running program, called from outside. Nothing it sends is trusted: frames are checked and values decoded here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeAlias

from sandbox import protocol, raising, values
from sandbox.outcomes import Ended, Limits, Outcome, Raised, Returned, SandboxBroken
from sandbox.outside.jail import Jail
from sandbox.outside.program_channel import ProgramChannel, not_a_value
from sandbox.values import EncodedValue, Value

Ask: TypeAlias = Callable[..., Outcome]
"""Answers calls that a program makes to the outside. Its arguments are EncodedValues; it may return one."""

_NAME, _MESSAGE = 100, 500
_REQUEST_BYTES = 32 << 20
_MOST_HELD = 64 << 20  # bytes of our memory for all values of one program that a caller keeps


class ChildBroken(SandboxBroken):
    """The child could not confine itself, so no program was run."""


class RunningProgram:
    """A program that waits for calls, until close(). A context manager, made by `Sandbox.start`.

    loaded: None, or why there is nothing to call. ended: why its process has ended; None while it runs. unasked: it
    made a call to the outside with an argument that has no form. unread: why it could not read an answer from outside.
    """

    def __init__(self, jail: Jail, identity: int, limits: Limits, asks: Mapping[str, Ask]) -> None:
        self.loaded: Raised | Ended | None = None
        self._limits = limits
        self._asks = asks
        self.unasked = False
        self.unread = ""
        self._decoder = values.Decoder()
        self._channel = ProgramChannel(jail, identity, limits)

    @property
    def ended(self) -> Ended | None:
        return self._channel.ended

    @property
    def closed(self) -> bool:
        return self._channel.closed

    def load(self, source: str, needs: str) -> None:
        """Load the source; `loaded` then says whether it worked and a function `needs` ("" for none) is defined."""
        if (size := len(source.encode("utf-8", "surrogatepass"))) > self._limits.source_bytes:
            self.loaded = Ended("unrepresentable", f"{size} bytes of source; {self._limits.source_bytes} are accepted")
            self._channel.end(self.loaded)
            return
        self._channel.send(protocol.pack({"source": source, "needs": needs, "asks": list(self._asks)}))
        if (ready := self._channel.receive()) != ["ready"]:
            raise ChildBroken("it ended before it was confined" if ready is None else str(ready)[:500])
        if (frame := self._receive()) != ["loaded"]:
            outcome = self._outcome(frame, self._decoder.decode)
            self.loaded = not_a_value("one before it was loaded") if isinstance(outcome, Returned) else outcome

    def call(self, name: str, /, *arguments: Value, **named: Value) -> Outcome:
        """Call a function of the program. ValueError for an argument that has no form (the caller's mistake)."""
        (outcome,) = self._calls(name, [(arguments, named)], tell=True)
        return outcome

    def calls(self, name: str, many: Sequence[Sequence[Value]], tell: bool = False) -> tuple[Outcome, ...]:
        """Make several calls, sent at once to save waiting. tell: report changed arguments, too. A program whose values
        together take more than _MOST_HELD is ended."""
        found = []
        for outcome in self._calls(name, [(arguments, {}) for arguments in many], tell):
            if self._channel.memory > _MOST_HELD and self.ended is None:
                self._channel.end(Ended("output", "its values together have too many parts; give less"))
            found.append(outcome)
        return tuple(found)

    def each_call(self, name: str, many: Sequence[Sequence[Value]]) -> Iterator[Outcome]:
        """As `calls`, one outcome after the other, for a caller that keeps none of them."""
        return self._calls(name, [(arguments, {}) for arguments in many], tell=False)

    def forward(self, name: str, arguments: Sequence[EncodedValue], named: Mapping[str, EncodedValue]) -> Outcome:
        """Call with arguments that another program made. The returned value stays encoded, to be sent back there."""
        (outcome,) = self._calls(name, [(arguments, named)], tell=True, read=EncodedValue)
        return outcome

    def _calls(
        self,
        name: str,
        many: Sequence[tuple[Sequence[Value], Mapping[str, Value]]],
        tell: bool,
        read: Callable[[Any], Value] | None = None,
    ) -> Iterator[Outcome]:
        """Make calls. If the program did not load, the outcome of each is `loaded`."""
        if self.loaded is not None:
            yield from (self.loaded,) * len(many)
            return
        frames = [protocol.pack([name, *values.encode_call(arguments, named), tell]) for arguments, named in many]
        if (size := sum(map(len, frames))) > _REQUEST_BYTES:
            raise ValueError(f"the arguments take {size} bytes; {_REQUEST_BYTES} are accepted; send less")
        self._channel.send(b"".join(frames))
        for _ in frames:
            yield self._outcome(self._receive(), read or self._decoder.decode)

    def function(self, name: str) -> Callable[..., Value]:
        """A function whose calls run in the program. It raises what the program raised, by the nearest built-in type,
        and ProgramEnded if there is neither a value nor an exception."""

        def proxy(*arguments: Value, **named: Value) -> Value:
            match self.call(name, *arguments, **named):
                case Returned(value, changed):
                    values.change_in_place(arguments, _forms(changed))
                    return value
                case Raised(exception, message, builtin):
                    raise raising.exception(exception, message, builtin)
                case Ended(reason, detail):
                    raise raising.ProgramEnded(f"{reason}: {detail}")

        proxy.__name__ = proxy.__qualname__ = name
        return proxy

    def close(self) -> None:
        """End the program, so that the sandbox can start another. Closing twice is harmless."""
        self._channel.close()

    def __enter__(self) -> "RunningProgram":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive(self) -> Any:
        """The next frame. Calls to the outside that come before it are answered."""
        while True:
            frame = self._channel.receive()
            match frame:
                case ["ask", str(name), list(arguments), dict(named)] if name in self._asks:
                    self._channel.send(self._answer(self._asks[name], arguments, named))
                case ["unasked", str(name), str(why)] if name in self._asks:
                    self.unasked = True
                    self._channel.send(protocol.pack(["ended", "unrepresentable", why[:_MESSAGE]]))
                case ["unread", str(why)] if self._asks:
                    self.unread = why[:_MESSAGE]
                case _:
                    return frame

    @staticmethod
    def _answer(ask: Ask, arguments: list[Any], named: dict[str, Any]) -> bytes:
        try:
            outcome = ask(*map(EncodedValue, arguments), **{key: EncodedValue(form) for key, form in named.items()})
        except ValueError as trouble:  # an argument without a form: reported to the caller inside
            outcome = Raised("ValueError", str(trouble)[:_MESSAGE], "ValueError")
        match outcome:
            case Returned(value, changed):
                return protocol.pack(["returned", values.encode(value), *([_forms(changed)] if changed else [])])
            case Raised(exception, message, builtin):
                return protocol.pack(["raised", exception, message, builtin])
            case Ended(reason, detail):
                return protocol.pack(["ended", reason, detail])

    def _outcome(self, frame: Any, read: Callable[[Any], Value]) -> Outcome:
        """The outcome in a frame, None included. An invalid frame ends the program."""
        try:
            match frame:
                case None if self.ended is not None:
                    return self.ended
                case ["returned", form]:
                    return Returned(read(form))
                case ["returned", form, dict(changed)]:
                    return Returned(read(form), {int(n): read(now) for n, now in changed.items()})
                case ["raised", str(name), str(message), str(builtin)]:
                    return Raised(name[:_NAME], message[:_MESSAGE], builtin[:_NAME])
                case ["ended", "memory" | "output" | "unrepresentable" as reason, str(detail)]:
                    return Ended(reason, detail[:_MESSAGE])
            refusal = "there is no such frame"  # not quoted: its depth could exhaust repr()
        except ValueError as trouble:
            refusal = str(trouble)
        fault = not_a_value(refusal)
        self._channel.end(fault)
        return fault


def _forms(changed: Mapping[int, Value]) -> dict[str, Any]:
    return {str(place): values.encode(now) for place, now in changed.items()}
