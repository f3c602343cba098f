"""``nightlane pairs certify``: the chosen sides of a store through the code gate or the text gate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.clock import now
from common.errors import BadInput, MissingRequirement
from common.extras import require_extra
from preferences.certify.certificate import Gate
from preferences.certify.certification import Certified, certification, certify_case, certify_row, held_to, orpo_of
from preferences.certify.contracts import load_contracts
from preferences.code_gate import Sandboxes
from preferences.store.annotations import usable_rows
from preferences.store.rows import Kind, Row, kind_of
from preferences.store.stores import Stores
from preferences.text_gate import cases
from probes.inputs.training_rows import Reserved
from probes.model.embedding import load_embedder
from sandbox import SandboxUnavailable

PAIRS: tuple[Kind, ...] = ("dpo", "preference")
BATCH = 25
TEXTS = 500
"""A batch of the text gate, which takes milliseconds for a row, and writing a batch reads the whole store."""

Held = TypeVar("Held")
Say = Callable[[int, int], None]


@dataclass(frozen=True)
class Certifying:
    """What became of a store. ``without``: rows in use that no contract is for; ``new``: ORPO rows that were new;
    ``refused``: why the store of ORPO rows took others not."""

    kind: Kind
    gate: Gate
    without: int
    found: tuple[Certified, ...]
    new: int
    refused: tuple[str, ...]


def certify_pairs(
    stores: Stores, kind: str, contracts: Path | None, text: bool, say: Say, embedder: str | None = None
) -> Certifying:
    """By the code gate with the contracts of a file, or by the text gate; BadInput for both or none,
    MissingRequirement without the packages of the extra "gate"."""
    require_extra("gate", "nightlane pairs certify")
    if text and contracts is None:
        return certify_texts(stores, kind, say, embedder)
    if contracts is not None and not text:
        if embedder is not None:
            raise BadInput(f"--embedder {embedder} is for --text: the code gate looks at no topic; leave it out")
        return certify_store(stores, kind, contracts, say)
    raise BadInput(
        "one gate certifies: programs are held to a file of contracts and texts to the text gate; give either "
        "--contracts FILE or --text"
    )


def certify_store(stores: Stores, kind: str, contracts: Path, say: Say) -> Certifying:
    """Certify every row in use that has a contract. ``say`` is told how many of how many are done."""
    store = _pairs(kind)
    known = load_contracts(contracts)
    rows = stores.read(store)
    held = held_to(rows, known)
    without = len(usable_rows(rows)) - len(held)
    if not held:
        raise BadInput(
            f"none of the {len(rows)} {store} rows asks a prompt of {contracts}; give the contracts of theirs"
        )
    try:
        with Sandboxes() as sandboxes:
            done = _batches(stores, held, BATCH, lambda one: certify_row(*one, sandboxes), say)
    except SandboxUnavailable as error:
        raise MissingRequirement(str(error)) from None
    return Certifying(store, "code", without, *done)


def certify_texts(stores: Stores, kind: str, say: Say, embedder: str | None = None) -> Certifying:
    """Certify every row in use, within the set of all of them. ``embedder``: a folder or hub id."""
    store = _pairs(kind)
    rows = stores.read(store)
    held = cases(rows, load_embedder(embedder, Path()) if embedder and any(one.used for one in rows) else None)
    if not held:
        raise BadInput(
            f"{stores.path(store)} has no row in use for the text gate, which leaves to the code gate what that has "
            f"judged; see nightlane pairs list --kind {store}"
        )
    return Certifying(store, "text", 0, *_batches(stores, held, TEXTS, certify_case, say))


def _pairs(kind: str) -> Kind:
    store = kind_of(kind)
    if store not in PAIRS:
        raise BadInput(f"--kind {kind}: pairs are certified, and their ORPO rows made; use one of {', '.join(PAIRS)}")
    return store


def _batches(
    stores: Stores, held: Sequence[Held], size: int, certify: Callable[[Held], Certified], say: Say
) -> tuple[tuple[Certified, ...], int, tuple[str, ...]]:
    """What was certified, how many ORPO rows were new, and why their store refused others. Certificates are on the disk
    after each batch, so that Ctrl-C loses few."""
    found, new, refused, reserved = list[Certified](), 0, list[str](), stores.reserved()
    for start in range(0, len(held), size):
        batch = [certify(one) for one in held[start : start + size]]
        stores.certify([certification(one, now()) for one in batch])
        more, why = _added(stores, orpo_of(batch), reserved)
        new, refused, found = new + more, refused + why, found + batch
        say(len(found), len(held))
    return tuple(found), new, tuple(refused)


def _added(stores: Stores, rows: Sequence[Row], reserved: Reserved) -> tuple[int, list[str]]:
    """How many were new, and why others were refused: one row whose prompt was reserved later, say, keeps no other out.
    BadInput where none of several can be added: then it is the store."""
    try:
        return len(stores.add(rows, reserved).new), []
    except BadInput as error:
        if len(rows) == 1:
            return 0, [str(error)]
        alone = [_added(stores, [row], reserved) for row in rows]
        refused = [why for _, own in alone for why in own]
        if len(refused) == len(rows):
            raise
        return sum(new for new, _ in alone), refused
