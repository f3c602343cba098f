"""The ledger as it was at an earlier turn, so that a search can be repeated with what it knew then."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agent.ledger.requests import SteeringRequest
from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow, PastDecision, ProposalRow
from lanes import Recipe


@dataclass(frozen=True)
class PastLedger:
    """The part of the ledger that a search reads (agent/proposers/context.py), as it was just before the session made
    the proposal of a turn. At that time nothing may have been decided against the turn's incumbent.
    """

    ledger: Ledger
    session: str
    turn: int

    def proposals(self, clause: str = "", values: tuple[Any, ...] = ()) -> list[ProposalRow]:
        """The session's earlier proposals. Some are never decided on, because no reading has them."""
        found = self.ledger.proposals(clause, values)
        return [row for row in found if row.session == self.session and row.turn < self.turn]

    def history(self, question: str, key: str, after: int = 0) -> list[PastDecision]:
        """The decisions before the first one against the incumbent of this turn."""
        return [past for past in self.ledger.history(question, key, after) if past.number < self._end]

    def decided_after(self, session_id: str, number: int) -> list[tuple[int, str]]:
        """The session's decisions before the first one against the incumbent of this turn."""
        return [(place, name) for place, name in self.ledger.decided_after(session_id, number) if place < self._end]

    @property
    def decided(self) -> int:
        """The number of decisions on proposals that the session had made."""
        decisions = self.ledger.decisions_after(self.session, 0)
        return sum(row.turn > 0 for number, row in decisions if number < self._end)

    def decision(self, decision_id: str) -> DecisionRow | None:
        return self.ledger.decision(decision_id)

    def requests(self, session_id: str) -> tuple[SteeringRequest, ...]:
        """All requests of the session, of later turns, too: an answer says from which turn on it counts."""
        return self.ledger.requests(session_id)

    def recipe(self, digest: str) -> Recipe:
        return self.ledger.recipe(digest)

    def effect(self, digest: str) -> str:
        return self.ledger.effect(digest)

    @cached_property
    def _end(self) -> float:
        """The number of the session's first decision against the incumbent of this turn."""
        turn = self.ledger.proposals("WHERE session = ? AND turn = ?", (self.session, self.turn))
        same = {row.id for one in turn for row in self.ledger.proposals("WHERE parent = ?", (one.parent,))}
        decisions = self.ledger.decisions_after(self.session, 0)
        return next((number for number, row in decisions if row.id in same), math.inf)
