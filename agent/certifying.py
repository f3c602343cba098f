"""``nightlane pairs certify``: the chosen sides of a store through the code gate, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.clock import now
from lanes.errors import BadInput, MissingRequirement
from preferences.certification import Certified, certification, certify_row, held_to, orpo_of
from preferences.contracts import load_contracts
from preferences.gate import Rooms
from preferences.rows import Kind, kind_of
from preferences.stores import Stores
from sandbox import SandboxUnavailable

PAIRS: tuple[Kind, ...] = ("dpo", "preference")
BATCH = 25


@dataclass(frozen=True)
class Certifying:
    """What became of a store. ``without``: rows in use that no contract is for; ``new``: ORPO rows that were new."""

    kind: Kind
    found: tuple[Certified, ...]
    without: int
    new: int


def certify_store(stores: Stores, kind: str, contracts: Path, say: Callable[[int, int], None]) -> Certifying:
    """Certify every row in use that has a contract. Certificates are on the disk after each BATCH, so that Ctrl-C loses
    few. ``say`` is told how many of how many are done."""
    store = kind_of(kind)
    if store not in PAIRS:
        raise BadInput(f"--kind {kind}: pairs are certified, and their ORPO rows made; use one of {', '.join(PAIRS)}")
    known = load_contracts(contracts)
    rows = stores.read(store)
    held, reserved = held_to(rows, known), stores.reserved()
    without = sum(one.used for one in rows) - len(held)
    if not held:
        raise BadInput(
            f"none of the {len(rows)} {store} rows asks a prompt of {contracts}; give the contracts of theirs"
        )
    found, new = list[Certified](), 0
    try:
        with Rooms() as rooms:
            for start in range(0, len(held), BATCH):
                batch = [certify_row(row, contract, rooms) for row, contract in held[start : start + BATCH]]
                stores.certify([certification(one, now()) for one in batch])
                new += len(stores.add(orpo_of(batch), reserved).new)
                found += batch
                say(len(found), len(held))
    except SandboxUnavailable as error:
        raise MissingRequirement(str(error)) from None
    return Certifying(store, tuple(found), without, new)
