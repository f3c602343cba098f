"""The process of one program inside the jail: confines itself, reads the program, runs it, and sends plain data.

Once the source is executed, nothing here can be trusted. The caller takes all data on the channel as the program's, and
decodes each value again; expected values never come in.
"""

import functools
import os
import random
import resource
import signal
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox import protocol, raising, values
from sandbox.kernel import landlock, seccomp, system

CHANNEL = 3  # the only descriptor besides three of /dev/null
EXIT_MEMORY = 77  # there was no memory to send the frame that says so
_READY, _LOADED = protocol.pack(["ready"]), protocol.pack(["loaded"])
_MEMORY = protocol.pack(["ended", "memory", "no memory was left to say what was raised"])
_NAME, _MESSAGE = 100, 500  # characters of an exception that are sent
_STACK = 8 << 20


@dataclass(frozen=True, slots=True)
class Confinement:
    """How a program is confined: no capabilities, resource limits, Landlock if there is a ruleset, seccomp."""

    limits: tuple[tuple[int, int], ...]
    ruleset: landlock.Ruleset | None
    capabilities: system.KeptCapabilities
    filter: seccomp.SystemCallFilter

    def enter(self, zygote: int) -> None:
        """Confine this process for good; OSError if any part fails."""
        self.capabilities.enter()  # it has all capabilities over its own namespaces
        system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != zygote:
            raise OSError("the zygote is gone")
        for kind, limit in self.limits:
            resource.setrlimit(kind, (limit, limit))
        system.prctl(system.PR_SET_DUMPABLE, 0)
        self.restrict_files()  # nested in the zygote's ruleset, so that signals to the zygote are out of scope
        os.closerange(CHANNEL + 1, 1 << 20)
        self.filter.install()

    def restrict_files(self) -> None:
        """Give up gaining privileges by execve, and all files except the ruleset's. The zygote does this, too."""
        system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
        if self.ruleset is not None:
            self.ruleset.enter()


def resource_limits(seconds: float, memory_mb: int) -> tuple[tuple[int, int], ...]:
    """The resource limits of a program, none above those of this process."""
    memory = memory_mb << 20
    wanted = (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_STACK, min(_STACK, memory)),
        (resource.RLIMIT_CPU, int(seconds) + 2),  # whole seconds only; the zygote watches the fraction
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    )
    return tuple((kind, _at_most(resource.getrlimit(kind)[1], limit)) for kind, limit in wanted)


def _at_most(hard: int, limit: int) -> int:
    return limit if hard == resource.RLIM_INFINITY else min(limit, hard)


def run(channel: int, zygote: int, confinement: Confinement, output_bytes: int) -> NoReturn:
    """Run the program in this forked process, which must not return into the zygote's loop."""
    try:
        os.setsid()
        os.dup2(1, 2)
        os.dup2(channel, CHANNEL)
        try:
            confinement.enter(zygote)
        except BaseException as trouble:  # the boundary: no program has been read yet
            protocol.write_all(CHANNEL, protocol.pack(["broken", f"{type(trouble).__name__}: {trouble}"]))
            _leave(1)
        random.seed(0)
        protocol.write_all(CHANNEL, _READY)
        _serve(output_bytes)
    except MemoryError:
        _leave(EXIT_MEMORY)
    finally:
        _leave(0)


def _leave(status: int) -> NoReturn:
    os._exit(status)


def _serve(output_bytes: int) -> None:
    """Load the source of the first frame, then answer calls until the channel ends."""
    request = protocol.read_frame(CHANNEL)
    if request is None:
        return
    loaded = _attempt(functools.partial(_load, request["source"], request["needs"], request["asks"]))
    if isinstance(loaded, bytes):
        protocol.write_all(CHANNEL, loaded)
        return
    (names,) = loaded
    del request
    protocol.write_all(CHANNEL, _LOADED)
    while (call := protocol.read_frame(CHANNEL)) is not None:
        answer = _attempt(functools.partial(_call, names, call, output_bytes))
        protocol.write_all(CHANNEL, answer if isinstance(answer, bytes) else answer[0])


def _load(source: str, needs: str, asks: list[str]) -> dict[str, Any]:
    """The names that the source defines, `needs` among them. `asks` are functions that run outside."""
    module = types.ModuleType("program")
    sys.modules["program"] = module  # dataclasses look their module up
    names = module.__dict__
    code = compile(source, "<program>", "exec", dont_inherit=True)
    outside = {name: functools.partial(_ask, name) for name in asks}
    names.update(outside)
    exec(code, names)
    names.update(outside)  # again, if the source defines such a name: a stub in the tests of HumanEval, say
    if needs:
        _function(names, needs)
    return names


def _function(names: dict[str, Any], name: str) -> Callable[..., Any]:
    function = names.get(name)
    if not callable(function):
        what = "does not define" if function is None else "defines, but not as a function,"
        raise NameError(f"the program {what} {name!r}")
    return function  # type: ignore[no-any-return]


def _ask(name: str, /, *arguments: Any, **named: Any) -> Any:
    """Call a function outside, as test code calls the candidate."""
    try:
        question = ["ask", name, *values.encode_call(arguments, named, in_order=True)]
    except values.Unrepresentable as refusal:
        question = ["unasked", name, str(refusal)[:_MESSAGE]]
    protocol.write_all(CHANNEL, protocol.pack(question))
    match protocol.read_frame(CHANNEL):
        case ["returned", form, *changed]:
            try:
                for forms in changed:
                    values.change_in_place(arguments, forms, in_order=True)
                return values.decode(form, in_order=True)
            except ValueError as refusal:  # it was not decoded on its way here
                protocol.write_all(CHANNEL, protocol.pack(["unread", str(refusal)[:_MESSAGE]]))
                raise raising.ProgramEnded(f"unrepresentable: {refusal}") from None
        case ["raised", exception, message, builtin]:
            raise raising.exception(exception, message, builtin)
        case ["ended", reason, detail]:
            raise raising.ProgramEnded(f"{reason}: {detail}")
    _leave(0)


def _call(names: dict[str, Any], call: list[Any], output_bytes: int) -> bytes:
    """The answer to [function, arguments, named arguments, whether to report changed arguments]."""
    name, forms, named, tell = call
    call.clear()
    function = _function(names, name)
    arguments = [values.decode(form, in_order=True) for form in forms]
    result = function(*arguments, **{key: values.decode(form, in_order=True) for key, form in named.items()})
    try:
        form = values.encode(result, output_bytes, library_dicts=True, in_order=True)
        changed = values.changes(arguments, forms, output_bytes) if tell else None
        frame = protocol.pack(["returned", form, changed] if changed else ["returned", form])
    except values.TooLarge as refusal:
        return protocol.pack(["ended", "output", str(refusal)])
    except values.Unrepresentable as refusal:
        return protocol.pack(["ended", "unrepresentable", str(refusal)])
    except MemoryError:
        return protocol.pack(["ended", "memory", "no memory was left to send the value"])
    if len(frame) > output_bytes + protocol.ENVELOPE:
        return protocol.pack(["ended", "output", f"a value may take {output_bytes} bytes at most; return less"])
    return frame


def _attempt(action: Callable[[], Any]) -> tuple[Any] | bytes:
    """The action's result in a tuple, or the frame with its exception."""
    try:
        return (action(),)
    except BaseException as raised:  # the boundary: a program's exception is data
        return _raised(raised)


def _raised(raised: BaseException) -> bytes:
    try:
        name = type.__dict__["__name__"].__get__(type(raised))
        message = _text(raised)
        return protocol.pack(["raised", str(name)[:_NAME], message[:_MESSAGE], raising.builtin_name(type(raised))])
    except MemoryError:
        return _MEMORY


def _text(raised: BaseException) -> str:
    """str() of an exception runs the program's code and may do anything."""
    try:
        text = str(raised)
    except BaseException as trouble:  # the boundary, once more
        return f"(its message cannot be read: {type(trouble).__name__})"
    return str.__str__(text)
