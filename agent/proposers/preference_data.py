"""Proposer pairs from the ledger alone: in one context, a proposal that was kept and one that was discarded.

For those who train a proposer of their own. The context is what a language model would have been shown
(agent/proposers/prompt.py) when the incumbent of both came to stand: nothing in it was decided later, or the answer
would stand in the question. A turn belongs to one lane, so both proposals are of one lane, and both are among its moves
in that context; proposals of two lanes never share one. The person's instructions are no part of it, as the ledger does
not hold them, nor are dollars: what a judge had been paid by then is not in the ledger either.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.ledger.as_of import PastLedger
from agent.ledger.result_rows import value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow, SessionRow
from agent.loop.budget import Spent, budget_left, with_overrides
from agent.proposers import Situation
from agent.proposers.context import Search
from agent.proposers.prompt import conversation
from agent.proposers.reply import written
from agent.study.load import Study, parse_study
from common.errors import BadInput
from common.files import whole_folder, write_durably
from preferences.export.dataset import Format, write_rows

HAD_ITS_TURN = ("worse", "no_effect", "guard", "cumulative", "unpromising", "unconfirmed")
"""Reasons of a DISCARD, before any colon, of a move that was tried and not shown to help, as the kept one was. Not
among them: overtaken and budget, which had no turn; calibration and false_alarm, the incumbent in disguise."""


@dataclass(frozen=True)
class ProposerPair:
    """Two proposals in one context. ``kept``: its KEEP stands; ``discarded``: for a ``reason`` of ``HAD_ITS_TURN``."""

    context: Situation
    kept: ProposalRow
    discarded: ProposalRow
    reason: str

    def columns(self) -> dict[str, Any]:
        """As TRL takes it: prompt, chosen and rejected, each a list of turns."""
        chosen, rejected = (
            [{"role": "assistant", "content": reply(self.context, one)}] for one in (self.kept, self.discarded)
        )
        return {"prompt": conversation(self.context), "chosen": chosen, "rejected": rejected}


@dataclass(frozen=True)
class ProposerExport:
    """What was written, and from which pairs."""

    file: Path
    pairs: tuple[ProposerPair, ...]

    @property
    def card(self) -> Path:
        return self.file.with_name("README.md")


def export_pairs(
    path: Path, form: Format, folder: Path, card: Callable[[ProposerExport], str] = lambda exported: ""
) -> ProposerExport:
    """Write the pairs of a ledger to a new or empty folder; ``card`` gives the text of the dataset card. BadInput where
    there is no ledger, where it gives no pair, or where the folder holds something."""
    with Ledger(path, read_only=True) as ledger:
        pairs = proposer_pairs(ledger)
    if not pairs:
        raise BadInput(
            f"{path} gives no proposer pair, which takes a KEEP that stands and, against the same incumbent and in the "
            f"same lane, a DISCARD as {', '.join(HAD_ITS_TURN)}; let a session decide on more"
        )
    done = ProposerExport(folder / f"train.{form}", pairs)
    with whole_folder(folder, "an export") as partial:
        write_rows(partial / done.file.name, form, [pair.columns() for pair in pairs])
        write_durably(partial / done.card.name, card(done))
    return done


def proposer_pairs(ledger: Ledger) -> tuple[ProposerPair, ...]:
    """Of all sessions, in the order of their sessions and turns; none of a KEEP that was retracted, and none of what is
    still open. BadInput where a session's study is one that this version cannot read."""
    retracted = {row.proposal for row in ledger.decisions("WHERE status = 'RETRACT'")}
    sessions = [row for name in ledger.sessions() if (row := ledger.session(name))]
    return tuple(pair for session in sessions for pair in _of_session(ledger, session, retracted))


def reply(context: Situation, proposal: ProposalRow) -> str:
    """The proposal as a language model would have replied it (agent/proposers/reply.py), with the proposer's own
    hypothesis. Where the proposer predicted nothing, predicted_delta is what the comparisons in the context let expect
    of the move: never what was measured of it."""
    value, predicted = value_of(proposal.after), proposal.predicted
    if predicted is None:
        moves, mean, _ = context.expected()
        predicted = round(float(mean[moves.index((proposal.knob, value))]), 3)
    return written(proposal.knob, value, proposal.hypothesis, predicted)


def _of_session(ledger: Ledger, session: SessionRow, retracted: set[str]) -> Iterator[ProposerPair]:
    proposals = ledger.proposals("WHERE session = ?", (session.id,))
    decisions = {row.id: row for row in ledger.decisions("WHERE session = ? AND turn > 0", (session.id,))}
    standing = [row for row in proposals if _stands(decisions.get(row.id), retracted)]
    for kept in standing:
        alike = [row for row in proposals if row.parent == kept.parent]
        beside = [row for row in alike if row.lane == kept.lane and _tried(decisions.get(row.id))]
        context = _context(ledger, session, alike[0], kept.lane) if beside else None
        if context is not None and _legal(context, kept):
            for row in beside:
                if _legal(context, row):
                    yield ProposerPair(context, kept, row, decisions[row.id].reason)


def _stands(decision: DecisionRow | None, retracted: set[str]) -> bool:
    return decision is not None and decision.status == "KEEP" and decision.id not in retracted


def _tried(decision: DecisionRow | None) -> bool:
    return decision is not None and decision.status == "DISCARD" and decision.reason.partition(":")[0] in HAD_ITS_TURN


def _legal(context: Situation, proposal: ProposalRow) -> bool:
    return value_of(proposal.after) in context.moves.get(proposal.knob, ())


def _context(ledger: Ledger, session: SessionRow, first: ProposalRow, lane: str) -> Situation | None:
    """What a lane looked like when the ``first`` proposal that moves an incumbent was about to be made."""
    study = parse_study(Path(session.study_path), session.study_text)
    search = Search(session, _without_instructions(study), PastLedger(ledger, session.id, first.turn))
    left_then = _budget_left(ledger, session, study, first)
    return search.in_lane(lane, first.turn, ledger.recipe(first.parent), left_then)


def _without_instructions(study: Study) -> Study:
    asked = study.file.proposer.model_copy(update={"program": ""})
    return replace(study, file=study.file.model_copy(update={"proposer": asked}))


def _budget_left(ledger: Ledger, session: SessionRow, study: Study, first: ProposalRow) -> str:
    budget = with_overrides(study.file.budget, session.limits.get("decisions"), session.limits.get("hours"))
    hours = ledger.active_seconds(session.id, datetime.fromisoformat(first.time).timestamp()) / 3600
    probes = sum(row.time <= first.time for row in ledger.probes(session.id))
    return budget_left(budget.model_copy(update={"dollars": None}), Spent(first.turn - 1, hours, probes, 0.0, 0.0))
