"""The table of hostile programs. Adding one: an entry in the tuple of its file; a file is an entry in ATTACKS.

What a broken sandbox would let them do to the machine is bounded: no more than 32 processes, 64 MiB of files, signals
that do nothing where everybody would get them.
"""

from testing.attacks.answers import ANSWERS
from testing.attacks.attack import Attack
from testing.attacks.channel import CHANNEL
from testing.attacks.files import FILES
from testing.attacks.interpreter import INTERPRETER
from testing.attacks.kernel import KERNEL_CALLS
from testing.attacks.network import NETWORK
from testing.attacks.processes import PROCESSES
from testing.attacks.resources import RESOURCES
from testing.attacks.starving import OTHERS, STARVING

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
