"""FSDP on a CPU: torch supports it with gloo, but accelerate offers it only for GPUs."""

from multiprocessing.connection import Connection
from typing import Any

from finetune import processes


def on_cpu() -> None:
    """Let accelerate take FSDP for processes on a CPU."""
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    if hasattr(AcceleratorState, "begun"):
        return
    AcceleratorState.begun = AcceleratorState.__init__

    def begin(self: Any, *given: Any, **named: Any) -> None:
        if named.get("fsdp_plugin") is not None:
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
        AcceleratorState.begun(self, *given, **named)

    AcceleratorState.__init__ = begin


_serve = processes._serve


def serve(share: processes.Share, pipe: Connection) -> None:
    """The main function of a further process, with FSDP on a CPU."""
    on_cpu()
    _serve(share, pipe)
