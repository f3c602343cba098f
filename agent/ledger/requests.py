"""Requests of a person to a session, and the session's answers. Both are rows of the table checks, so a kill loses
none.

Any process may record a request while the session has not ended; the session's own process answers it. The answer and
the effect of a request are written in one transaction, so no request is carried out twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.ledger.database.codecs import decode, encode
from agent.ledger.session_records import SessionRecords
from agent.ledger.tables import ANSWER, REQUEST, CheckRow, ProposalRow
from lanes import Recipe

RequestKind = Literal["pause", "continue", "stop", "skip", "propose", "note", "budget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswer:
    """``text``: what the session did, for people. ``data``: what a resumed session must know about it."""

    time: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringRequest:
    """``number``: from 1, in the order in which they were asked. ``data``: see agent/steering/requests.py. ``answer``:
    None until the session has taken it."""

    number: int
    time: str
    what: RequestKind
    data: Mapping[str, Any]
    answer: RequestAnswer | None = None


class RequestRecords(SessionRecords):
    def record_request(self, session_id: str, time: str, what: RequestKind, data: Mapping[str, Any]) -> int | None:
        """Record a request; returns its number, or None if the session has ended."""
        with self._transaction():
            unfinished = "SELECT 1 FROM sessions WHERE id = ? AND finished IS NULL"
            if self._db.execute(unfinished, (session_id,)).fetchone() is None:
                return None
            earlier = "SELECT COUNT(*) FROM checks WHERE session = ? AND kind = ?"
            number = 1 + int(self._db.execute(earlier, (session_id, REQUEST)).fetchone()[0])
            self._insert("checks", encode(_row(session_id, REQUEST, number, time, {"what": what, **data})))
        return number

    def answer_request(
        self,
        session_id: str,
        number: int,
        answer: RequestAnswer,
        event: str,
        *,
        proposal: tuple[ProposalRow, Recipe] | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an answer, its line of the progress log and the effect of the request, all or none. The effect may be
        a ``proposal`` with its recipe, or new ``limits`` of the budget."""
        with self._transaction():
            if proposal is not None:
                self._insert_recipe(proposal[1])
                self._insert("proposals", encode(proposal[0]))
            if limits is not None:
                self.set_limits(session_id, limits)
            self._insert_answer(session_id, number, answer, event)

    def finish_and_refuse(
        self, session_id: str, time: str, reason: str, refusal: RequestAnswer, event: Callable[[SteeringRequest], str]
    ) -> list[str]:
        """Finish a session and refuse the requests that it has not answered, all or none. Returns the recorded events
        of the refusals."""
        events = []
        with self._transaction():
            self.finish(session_id, time, reason)
            for request in self.requests(session_id):
                if request.answer is None:
                    events.append(event(request))
                    self._insert_answer(session_id, request.number, refusal, events[-1])
        return events

    def _insert_answer(self, session_id: str, number: int, answer: RequestAnswer, event: str) -> None:
        data = {"text": answer.text, **answer.data}
        self._insert("checks", encode(_row(session_id, ANSWER, number, answer.time, data)))
        self._insert_event(f"{session_id}-request-{number}", session_id, answer.time, event)

    def requests(self, session_id: str) -> tuple[SteeringRequest, ...]:
        """The requests to a session, oldest first. An old ledger has no table of them."""
        if not self._has_table("checks"):
            return ()
        found = self._db.execute(
            "SELECT * FROM checks WHERE session = ? AND kind IN (?, ?) ORDER BY rowid", (session_id, REQUEST, ANSWER)
        )
        return requests_among([decode(CheckRow, row) for row in found])


def requests_among(checks: list[CheckRow] | tuple[CheckRow, ...]) -> tuple[SteeringRequest, ...]:
    """The requests among a session's checks, with their answers, in their order."""
    answers = {int(row.subject): row for row in checks if row.kind == ANSWER}
    return tuple(_request(row, answers.get(int(row.subject))) for row in checks if row.kind == REQUEST)


def _request(row: CheckRow, answer: CheckRow | None) -> SteeringRequest:
    data = dict(row.data)
    what: RequestKind = data.pop("what")
    return SteeringRequest(
        number=int(row.subject), time=row.time, what=what, data=data, answer=_answer(answer) if answer else None
    )


def _answer(row: CheckRow) -> RequestAnswer:
    data = dict(row.data)
    return RequestAnswer(time=row.time, text=data.pop("text"), data=data)


def _row(session_id: str, kind: str, number: int, time: str, data: Mapping[str, Any]) -> CheckRow:
    return CheckRow(session=session_id, kind=kind, subject=str(number), time=time, data=data)
