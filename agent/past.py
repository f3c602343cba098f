"""The ledger as it was at a turn, so that a search can be looked at again with no more than it knew then."""

from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

from agent.ledger import CheckRow, DecisionRow, Ledger, ProposalRow
from agent.survey import SURVEYED
from lanes import Recipe


@dataclass(frozen=True)
class Past:
    """What a search reads of the ledger (agent/search.py), as of a turn of a session that began a round: of proposals
    and decisions only those that were decided by then."""

    ledger: Ledger
    session: str
    turn: int

    def proposals(self, clause: str = "", values: tuple[Any, ...] = ()) -> list[ProposalRow]:
        return [row for row in self.ledger.proposals(clause, values) if row.id in self._decided]

    def history(self, question: str, key: str) -> list[tuple[ProposalRow, DecisionRow]]:
        return [pair for pair in self.ledger.history(question, key) if pair[1].id in self._decided]

    def recipe(self, digest: str) -> Recipe:
        return self.ledger.recipe(digest)

    def checks(self, session_id: str, kind: str | None = None) -> list[CheckRow]:
        return self.ledger.checks(session_id, kind)

    def survey_under(self, question: str, key: str) -> str | None:
        """The session whose survey this one settled itself by before it proposed; a later one may have taken more."""
        return next((row.subject for row in self.ledger.checks(self.session, SURVEYED)), None)

    @cached_property
    def _decided(self) -> frozenset[str]:
        """The ids of the decisions, of all sessions, before the first of this turn or a later one. The turns of a round
        are decided on together, so those before it were decided on."""
        rows = self.ledger.decisions()
        return frozenset(row.id for row in takewhile(lambda row: not self._later(row), rows))

    def _later(self, row: DecisionRow) -> bool:
        return row.session == self.session and row.turn >= self.turn
