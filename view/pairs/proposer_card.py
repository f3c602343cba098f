"""The dataset card of an export of proposer pairs (templates/proposer_card.md.jinja)."""

from collections import Counter
from typing import Any

from agent.ledger.tables import ProposalRow
from agent.proposers.preference_data import ProposerExport, prediction
from preferences.export.dataset import PROPOSER
from preferences.store.rows import PAIR
from view.pairs.dataset_card import dataset_card, distinct


def proposer_data(exported: ProposerExport) -> dict[str, Any]:
    """What was written, as plain JSON values."""
    return {
        "kind": PROPOSER,
        "file": str(exported.file),
        "card": str(exported.card),
        "rows": len(exported.pairs),
        "decisions": [{"chosen": pair.kept.id, "rejected": pair.discarded.id} for pair in exported.pairs],
    }


def proposer_card(exported: ProposerExport, licence: str) -> str:
    pairs = exported.pairs
    sides = [(name, row) for pair in pairs for name, row in zip(PAIR, (pair.kept, pair.discarded), strict=True)]
    return dataset_card(
        "proposer_card",
        kind=PROPOSER,
        file=exported.file,
        columns=("prompt", *PAIR),
        rows=len(pairs),
        licence=licence,
        proposers=sorted(Counter((name, row.proposer, _predicted(row)) for name, row in sides).items()),
        reasons=sorted(Counter((pair.kept.lane, pair.reason) for pair in pairs).items()),
        sessions=distinct(pair.kept.session for pair in pairs),
        keeps=distinct(pair.kept.id for pair in pairs),
    )


def _predicted(row: ProposalRow) -> str:
    return "0, for none" if prediction(row) is None else "the proposer's"
