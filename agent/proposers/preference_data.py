"""Proposer pairs, to train a proposer: two proposals in one context, one kept and one discarded.

They come from the ledger alone. The context is what a language model would have been shown (agent/proposers/prompt.py)
at the first proposal against the incumbent of both. It holds nothing that was decided later, since that would give the
answer away. A turn belongs to one lane, so both proposals are of one lane, and both are legal moves in that context.
The context has no user instructions, no dollars left and no expected effects, since the ledger does not hold them.

Changes are confirmed in stacks, so a KEEP or a DISCARD is that of the whole stack. A pair is therefore chosen by the
own effects of the two changes: the kept one has the larger own effect, unless the other one broke a guard by itself. Of
a change that was proposed more than once, the last decision counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.ledger.past_ledger import PastLedger
from agent.ledger.results.rows import value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, ProposalRow, SessionRow
from agent.loop.budget import Spent, budget_left, with_overrides
from agent.proposers import Situation
from agent.proposers.context import DESIGNED, Search
from agent.proposers.prompt import conversation
from agent.proposers.reply import reply_text
from agent.study.load import Study, recorded_study
from common.errors import BadInput
from common.files import whole_folder, write_durably
from lanes import show
from preferences.export.dataset import Format, write_rows

COMPARED = ("worse", "no_effect", "guard", "cumulative", "unpromising", "unconfirmed")
"""Reasons, without what follows a colon, of a DISCARD that is based on readings. Others are overtaken and budget, where
the comparison was not finished, and calibration and false_alarm, the A/A tests."""
GUARDS = ("guard", "cumulative")
"""Reasons of a change that is worse because of a guard, even if its effect on the target is larger."""


@dataclass(frozen=True)
class ProposerPair:
    """Two proposals in one context. ``kept``: a KEEP that was not retracted; ``discarded``: a DISCARD for a ``reason``
    of ``COMPARED``, with a smaller own effect or with harm to a guard."""

    context: Situation
    kept: ProposalRow
    discarded: ProposalRow
    reason: str

    def columns(self) -> dict[str, Any]:
        """The row for TRL: prompt, chosen and rejected, each a list of messages."""
        chosen, rejected = (
            [{"role": "assistant", "content": reply(proposal)}] for proposal in (self.kept, self.discarded)
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
    """Write the pairs of a ledger to a new or empty folder; ``card`` returns the text of the dataset card.

    BadInput if there is no ledger, if it gives no pair, or if the folder is not empty.
    """
    with Ledger(path, read_only=True) as ledger:
        pairs = proposer_pairs(ledger)
    if not pairs:
        raise BadInput(
            f"{path} gives no proposer pair, which takes a KEEP that was not retracted and, against the same incumbent "
            f"and in the same lane, a DISCARD as {', '.join(COMPARED)}; let a session decide on more"
        )
    done = ProposerExport(folder / f"train.{form}", pairs)
    with whole_folder(folder, "an export") as partial:
        write_rows(partial / done.file.name, form, [pair.columns() for pair in pairs])
        write_durably(partial / done.card.name, card(done))
    return done


def proposer_pairs(ledger: Ledger) -> tuple[ProposerPair, ...]:
    """The pairs of all sessions, by session and turn. BadInput if this version cannot read a session's study."""
    retracted = {row.proposal for row in ledger.decisions("WHERE status = 'RETRACT'")}
    sessions = [row for name in ledger.sessions() if (row := ledger.session(name))]
    return tuple(pair for session in sessions for pair in _of_session(ledger, session, retracted))


def reply(proposal: ProposalRow) -> str:
    """The proposal as a language model's reply (agent/proposers/reply.py), with the proposer's own hypothesis.

    The hypothesis of a change from a wave's design quotes readings that the context does not hold, so the reply of such
    a change names only the move.
    """
    value, hypothesis = value_of(proposal.after), proposal.hypothesis
    if proposal.proposer in DESIGNED:
        hypothesis = f"{proposal.knob} {show(value_of(proposal.before))} -> {show(value)}"
    return reply_text(proposal.knob, value, hypothesis, prediction(proposal) or 0.0)


def prediction(proposal: ProposalRow) -> float | None:
    """The effect that the proposer predicted; None if it gave none, or if it was estimated from the readings."""
    return None if proposal.proposer in DESIGNED else proposal.predicted


def _of_session(ledger: Ledger, session: SessionRow, retracted: set[str]) -> Iterator[ProposerPair]:
    proposals = ledger.proposals("WHERE session = ?", (session.id,))
    decisions = {row.id: row for row in ledger.decisions("WHERE session = ? AND turn > 0", (session.id,))}
    by_change = {(row.parent, row.knob, value_of(row.after)): row for row in proposals if row.id in decisions}
    last = sorted(by_change.values(), key=lambda row: row.turn)
    for kept in (row for row in last if _is_kept(decisions[row.id], retracted)):
        rivals = [
            row
            for row in last
            if (row.parent, row.lane) == (kept.parent, kept.lane) and _lost(decisions[row.id], decisions[kept.id])
        ]
        first = next(row for row in proposals if row.parent == kept.parent)
        context = _context(ledger, session, first, kept.lane) if rivals else None
        if context is not None and _is_legal(context, kept):
            for row in rivals:
                if _is_legal(context, row):
                    yield ProposerPair(context, kept, row, decisions[row.id].reason)


def _is_kept(decision: DecisionRow, retracted: set[str]) -> bool:
    return decision.status == "KEEP" and decision.id not in retracted


def _lost(decision: DecisionRow, to: DecisionRow) -> bool:
    """Whether a change was discarded, and is worse than a kept one by both own effects, or broke a guard by itself."""
    reason = decision.reason.partition(":")[0]
    if decision.status != "DISCARD" or reason not in COMPARED:
        return False
    if reason in GUARDS and _is_alone(decision):
        return True
    own, kept = decision.row.get("delta"), to.row.get("delta")
    return own is not None and kept is not None and own < kept


def _is_alone(decision: DecisionRow) -> bool:
    """Whether no other change shares the decision's confirmation."""
    stack = decision.basis.stack if decision.basis else None
    return stack is None or len(stack.members) == 1


def _is_legal(context: Situation, proposal: ProposalRow) -> bool:
    return value_of(proposal.after) in context.moves.get(proposal.knob, ())


def _context(ledger: Ledger, session: SessionRow, first: ProposalRow, lane: str) -> Situation | None:
    """What a proposer in this lane would have been shown in place of the ``first`` proposal against an incumbent."""
    study = recorded_study(Path(session.study_path), session.study_text)
    search = Search(session, _without_instructions(study), PastLedger(ledger, session.id, first.turn))
    found = search.in_lane(
        lane, first.turn, ledger.recipe(first.parent), _budget_left(ledger, session, study, first), {}
    )
    return found and replace(
        found, history=list(found.history), notes=()
    )  # the history is read after the ledger is closed


def _without_instructions(study: Study) -> Study:
    proposer = study.file.proposer.model_copy(update={"program": ""})
    return replace(study, file=study.file.model_copy(update={"proposer": proposer}))


def _budget_left(ledger: Ledger, session: SessionRow, study: Study, first: ProposalRow) -> str:
    """The budget left, in words, when a proposal was about to be made."""
    budget = with_overrides(study.file.budget, session.limits)
    hours = ledger.active_seconds(session.id, datetime.fromisoformat(first.time).timestamp()) / 3600
    probes = sum(row.time <= first.time for row in ledger.probes(session.id))
    decided = PastLedger(ledger, session.id, first.turn).decided
    return budget_left(budget.model_copy(update={"dollars": None}), Spent(decided, hours, probes, 0.0, 0.0))
