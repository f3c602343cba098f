"""The table of hostile programs. Adding one: an entry in the tuple of its file; a file is an entry in ATTACKS.

What a broken sandbox would let them do to the machine is bounded: no more than 32 processes, 64 MiB of files, signals
that do nothing where everybody would get them.
"""

from bench.attacks.answers import ANSWERS
from bench.attacks.attack import Attack
from bench.attacks.channel import CHANNEL
from bench.attacks.files import FILES
from bench.attacks.interpreter import INTERPRETER
from bench.attacks.kernel import KERNEL_CALLS
from bench.attacks.network import NETWORK
from bench.attacks.processes import PROCESSES
from bench.attacks.resources import RESOURCES
from bench.attacks.starving import OTHERS, STARVING

__all__ = ["ATTACKS", "Attack"]

ATTACKS: tuple[Attack, ...] = (
    *ANSWERS,
    *INTERPRETER,
    *CHANNEL,
    *PROCESSES,
    *RESOURCES,
    *FILES,
    *NETWORK,
    *KERNEL_CALLS,
    *STARVING,
    *OTHERS,
)
