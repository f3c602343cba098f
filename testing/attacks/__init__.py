"""Hostile programs, by group. A new one is an entry in the tuple of its file; a new file is an entry in ATTACKS.

The harm that they could do through a broken sandbox is limited: at most 32 processes, 64 MiB of files, and only
harmless signals where all processes would get them.
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
