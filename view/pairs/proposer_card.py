"""The dataset card of an export of proposer pairs: what a pair is, what it leaves out, where it comes from."""

from collections import Counter
from typing import Any

from agent.ledger.tables import ProposalRow
from agent.proposers.preference_data import ProposerExport
from preferences.export.dataset import PROPOSER
from preferences.store.rows import PAIR
from view.pairs.dataset_card import dataset_card, listed
from view.report.markdown import code, table

ABOUT = (
    "Each row is two proposals for the next experiment of a nightly search, against one incumbent and in one lane: "
    "`chosen` was kept and stands, `rejected` was tried and discarded. Both are replies in the proposer's schema, "
    "and both are among the moves that `prompt` lists.",
    "`prompt` is what a language model would have been shown when that incumbent came to stand, from the ledger "
    "alone: nothing in it was decided later. The person's instructions and what was left of a budget of dollars are "
    "not in the ledger, and left out.",
    "A hypothesis is its proposer's own, of its own turn, and may name what was seen after the prompt. Where the "
    "proposer gave no `predicted_delta`, it is what the comparisons in the prompt let expect of the move, never what "
    "was measured of it.",
)


def proposer_data(exported: ProposerExport) -> dict[str, Any]:
    """What was written, as plain JSON values."""
    return {
        "kind": PROPOSER,
        "file": str(exported.file),
        "card": str(exported.card),
        "rows": len(exported.pairs),
        "decisions": [{"chosen": one.kept.id, "rejected": one.discarded.id} for one in exported.pairs],
    }


def proposer_card(exported: ProposerExport, licence: str) -> str:
    sections = [
        *([line] for line in ABOUT),
        ["## Where they come from", "", *_provenance(exported)],
    ]
    return dataset_card(PROPOSER, exported.file, ("prompt", *PAIR), len(exported.pairs), licence, sections)


def _provenance(exported: ProposerExport) -> list[str]:
    pairs = exported.pairs
    sides = [(name, row) for one in pairs for name, row in zip(PAIR, (one.kept, one.discarded), strict=True)]
    proposers: Counter[tuple[str, ...]] = Counter((name, code(row.proposer), _predicted(row)) for name, row in sides)
    decided: Counter[tuple[str, ...]] = Counter((code(one.kept.lane), code(one.reason)) for one in pairs)
    return [
        *table(("side", "proposer", "predicted_delta", "rows"), _cells(proposers), right=(3,)),
        "",
        *table(("lane", "rejected as", "rows"), _cells(decided), right=(2,)),
        "",
        f"- sessions: {listed(one.kept.session for one in pairs)}",
        f"- KEEPs, each with a prompt of its own: {listed(one.kept.id for one in pairs)}",
    ]


def _predicted(row: ProposalRow) -> str:
    return "expected by comparisons" if row.predicted is None else "the proposer's"


def _cells(counted: Counter[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [(*names, str(number)) for names, number in sorted(counted.items())]
