"""``nightlane pairs certify``: the chosen sides of a store through the code gate or the text gate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.clock import now
from common.errors import BadInput, MissingRequirement
from common.optional_dependencies import require_extra
from preferences.certify.certificate import Gate
from preferences.certify.certify_rows import (
    RowCertificate,
    certify_answer,
    certify_program,
    orpo_rows,
    rows_with_contracts,
    stored_certification,
)
from preferences.code_gate import ContractSandboxes, load_contracts
from preferences.store.annotations import usable_rows
from preferences.store.rows import Row, StoreKind, kind_of
from preferences.store.stores import Stores
from preferences.text_gate import answers_under_test
from preferences.text_gate.answer_under_test import USUAL
from preferences.text_gate.settings import TextGateSettings
from probes.inputs.training_rows import ReservedPrompts
from probes.model.embedding import load_embedder
from sandbox import SandboxUnavailable

PAIRS: tuple[StoreKind, ...] = ("dpo", "preference")
PROGRAM_BATCH = 25
TEXT_BATCH = 500
"""The text gate takes milliseconds for a row, and writing a batch reads the whole store."""

Item = TypeVar("Item")
OnProgress = Callable[[int, int], None]
"""Called with the number of rows that are certified or refused, and of all."""


@dataclass(frozen=True)
class StoreCertification:
    """``rows``: those that went through the gate, with their certificates. ``without_contract``: the number of rows in
    use that have none. ``new``: the number of new ORPO rows. ``not_added``: why the store of ORPO rows refused some."""

    kind: StoreKind
    gate: Gate
    without_contract: int
    rows: tuple[RowCertificate, ...]
    new: int
    not_added: tuple[str, ...]


def certify_pairs(
    stores: Stores,
    kind: str,
    *,
    contracts: Path | None,
    text: bool,
    progress: OnProgress,
    embedder: str | None = None,
    limits: TextGateSettings = USUAL,
) -> StoreCertification:
    """Certify pairs by the code gate with the contracts of a file, or by the text gate with these limits. BadInput for
    both or none, MissingRequirement without the packages of the extra "gate"."""
    require_extra("gate", "nightlane pairs certify")
    if text and contracts is None:
        return certify_texts(stores, kind, progress, embedder, limits)
    if contracts is not None and not text:
        if embedder is not None:
            raise BadInput(f"--embedder {embedder} is for --text: the code gate has no topic layer; leave it out")
        return certify_programs(stores, kind, contracts, progress)
    raise BadInput(
        "one gate certifies: the code gate checks programs by a file of contracts, the text gate checks texts; give "
        "either --contracts FILE or --text"
    )


def certify_programs(stores: Stores, kind: str, contracts: Path, progress: OnProgress) -> StoreCertification:
    """Certify every row in use that has a contract."""
    store = _store_of_pairs(kind)
    contract_of = load_contracts(contracts)
    rows = stores.read(store)
    programs = rows_with_contracts(rows, contract_of)
    without = len(usable_rows(rows)) - len(programs)
    if not programs:
        raise BadInput(
            f"none of the {len(rows)} {store} rows asks a prompt of {contracts}; give the contracts of their prompts"
        )
    try:
        with ContractSandboxes() as sandboxes:
            done = _in_batches(stores, programs, PROGRAM_BATCH, lambda one: certify_program(*one, sandboxes), progress)
    except SandboxUnavailable as error:
        raise MissingRequirement(str(error)) from None
    return StoreCertification(store, "code", without, *done)


def certify_texts(
    stores: Stores,
    kind: str,
    progress: OnProgress,
    embedder: str | None = None,
    limits: TextGateSettings = USUAL,
) -> StoreCertification:
    """Certify every row in use, compared with all of them. ``embedder``: a folder or hub id."""
    store = _store_of_pairs(kind)
    rows = stores.read(store)
    embed = load_embedder(embedder, Path()) if embedder and any(row.used for row in rows) else None
    answers = answers_under_test(rows, embed, limits)
    if not answers:
        raise BadInput(
            f"{stores.path(store)} has no row in use for the text gate, which skips rows that the code gate has "
            f"judged; see nightlane pairs list --kind {store}"
        )
    return StoreCertification(store, "text", 0, *_in_batches(stores, answers, TEXT_BATCH, certify_answer, progress))


def _store_of_pairs(kind: str) -> StoreKind:
    store = kind_of(kind)
    if store not in PAIRS:
        raise BadInput(f"--kind {kind}: only stores of pairs are certified; use one of {', '.join(PAIRS)}")
    return store


def _in_batches(
    stores: Stores,
    items: Sequence[Item],
    size: int,
    certify: Callable[[Item], RowCertificate],
    progress: OnProgress,
) -> tuple[tuple[RowCertificate, ...], int, tuple[str, ...]]:
    """The certified rows, the number of new ORPO rows, and why their store refused others. Each batch is on the disk
    before the next begins, so that Ctrl-C loses little."""
    rows, new, not_added, reserved = list[RowCertificate](), 0, list[str](), stores.reserved()
    for start in range(0, len(items), size):
        batch = [certify(item) for item in items[start : start + size]]
        stores.certify([stored_certification(one, now()) for one in batch])
        added, reasons = _add(stores, orpo_rows(batch), reserved)
        new, not_added, rows = new + added, not_added + reasons, rows + batch
        progress(len(rows), len(items))
    return tuple(rows), new, tuple(not_added)


def _add(stores: Stores, rows: Sequence[Row], reserved: ReservedPrompts) -> tuple[int, list[str]]:
    """How many rows were new, and why others were refused: a row whose prompt was reserved later does not keep the
    others out. BadInput when all of several rows are refused: then the store itself is broken."""
    try:
        return len(stores.add(rows, reserved).new), []
    except BadInput as error:
        if len(rows) == 1:
            return 0, [str(error)]
        one_by_one = [_add(stores, [row], reserved) for row in rows]
        refused = [reason for _, reasons in one_by_one for reason in reasons]
        if len(refused) == len(rows):
            raise
        return sum(new for new, _ in one_by_one), refused
