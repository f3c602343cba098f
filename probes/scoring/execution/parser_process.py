"""The process of a Parser (parser.py): parses texts of a model within limits on memory and time.

Nothing is imported here that it does not need, because its start is as long as its imports.
"""

import importlib
import resource
import signal
import sys
from dataclasses import asdict, is_dataclass
from typing import Any

from sandbox import protocol
from sandbox.outside.process_stats import peak_mb

MEMORY_MB = 256  # address space of the process, of which Python and the modules of ours take 20 to 80
READY = "ready"  # the first frame of the process
_WORN_MB = 150  # a process with a higher peak is replaced, since Python keeps most of its memory


def serve(seconds: float, bare_packages: list[str]) -> None:
    """Answer questions on the standard streams until they end."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = MEMORY_MB << 20
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    protocol.write_all(1, protocol.pack(READY))
    while (question := protocol.read_frame(0)) is not None:
        module, name, arguments = question
        function = getattr(_imported(module, bare_packages), name)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends the process even inside the compiler
        try:
            value = function(*arguments)
            answer = {"value": asdict(value) if is_dataclass(value) else value}  # type: ignore[arg-type]
        except MemoryError:
            answer = {"unread": f"it took more than {MEMORY_MB} MiB to parse"}
        except RecursionError:
            answer = {"unread": "it is nested too deeply to be parsed"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        last = peak_mb() > _WORN_MB
        protocol.write_all(1, protocol.pack({"answer": answer, "last": last}))


def _imported(module: str, bare_packages: list[str]) -> Any:
    """The module. One of another package may need more of ``bare_packages`` than their modules."""
    if module.rpartition(".")[0] not in bare_packages:
        for name in bare_packages:
            sys.modules.pop(name, None)
        bare_packages.clear()
    return importlib.import_module(module)
