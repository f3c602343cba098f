"""What a session does with the requests of a person (agent/steering/requests.py), at its safe points.

Before each batch of probes it takes pause, continue, stop, budget and note; between two rounds (a wave, a stack) also
skip and propose. Whether the session is paused or stopped is read from the ledger each time, so a session that was
killed and resumed stays paused or stopped, and neither loses a request nor carries it out twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.ledger.requests import RequestAnswer, SteeringRequest
from agent.ledger.results.rows import value_of
from agent.ledger.tables import ProposalRow
from agent.loop.measurements import Measurements
from agent.loop.search.decisions import Decisions
from agent.loop.search.proposals import Proposals
from agent.policy.knob_effects import Place, Places
from agent.policy.night import NightState
from agent.proposers.dead_ends import SKIPPED
from agent.steering.requests import in_force, in_words
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.errors import BudgetSpent, IllegalRecipe
from common.interrupts import uninterrupted
from common.systemd import alive
from lanes import Recipe, Value, show

BETWEEN_ROUNDS = ("skip", "propose")
SECONDS = 1.0
"""Between two checks of a paused session for new requests."""


@dataclass
class RequestHandler:
    measurements: Measurements

    # at each safe point

    def take(self) -> None:
        """Take the requests that are allowed before a batch of probes; wait while the session is paused. BudgetSpent if
        it is stopped and should not finish its round."""
        holds = self._take_now()
        if holds and holds.what == "pause":
            holds = self._wait()
        if holds and not holds.data["after_round"]:
            raise BudgetSpent(_why(holds))

    def reason_to_end(self) -> str | None:
        """Why no further round begins: a person stopped the session. None if nobody did."""
        holds = in_force(self._requests())
        return _why(holds) if holds and holds.what == "stop" else None

    def _take_now(self) -> SteeringRequest | None:
        for request in self._open():
            if request.what not in BETWEEN_ROUNDS:
                self._take(request)
        return in_force(self._requests())

    def _wait(self) -> SteeringRequest | None:
        """Wait for the end of a pause; returns the stop that ended it, if any. Paused time does not count as hours."""
        measurements = self.measurements
        measurements.mark_alive()
        try:
            while (holds := self._take_now()) and holds.what == "pause":
                alive()
                measurements.pause(SECONDS)
        finally:
            measurements.begin_period()
        return holds

    def _take(self, request: SteeringRequest) -> None:
        data = request.data
        if request.what == "pause":
            self._answer(request, "paused; nightlane continue goes on")
        elif request.what == "continue":
            self._answer(request, "goes on" if in_force(self._requests()) else "nothing was paused or stopped")
        elif request.what == "stop":
            when = "after this round and the checks at the end" if data["after_round"] else "now"
            self._answer(request, f"the session ends {when}")
        elif request.what == "note":
            turns = [row.turn for row in self.measurements.ledger.proposals("WHERE session = ?", (self._session,))]
            after = {"after": max(turns, default=0)}
            self._answer(request, "a language model that proposes is shown it from now on", after)
        elif request.what == "budget":
            limits = {**self.measurements.row.limits, **data}
            self._answer(request, "the limits of the whole session", limits=limits)

    # between two rounds

    @property
    def changes_wait(self) -> bool:
        """Whether a skip or a propose waits."""
        return any(request.what in BETWEEN_ROUNDS for request in self._open())

    def take_changes(
        self, known: NightState, incumbent: Recipe, proposals: Proposals, decisions: Decisions, waves: int
    ) -> None:
        """Take skip and propose. ``waves``: the number of waves so far."""
        for request in self._open():
            if request.what == "skip":
                self._skip(request, known, proposals, decisions)
            elif request.what == "propose":
                self._propose(request, known, incumbent, proposals, waves)

    def wished(self, waves: int) -> set[str]:
        """The proposals that a person asked for and that the next wave carries."""
        answers = [request.answer for request in self._requests() if request.what == "propose" and request.answer]
        return {answer.data["proposal"] for answer in answers if answer.data.get("wave") == waves + 1}

    def without_skipped(self, known: NightState) -> NightState:
        """The state in which recipes with a change that a person skipped are illegal."""
        skipped = self._skipped()
        if not skipped:
            return known

        def legal(places: Places) -> bool:
            return known.legal(places) and not any(
                places.get(knob) == place != known.incumbent.get(knob) for knob, place in skipped
            )

        return replace(known, legal=legal)

    def _skip(self, request: SteeringRequest, known: NightState, proposals: Proposals, decisions: Decisions) -> None:
        name, ledger = request.data["proposal"], self.measurements.ledger
        row, decided = ledger.proposals("WHERE id = ?", (name,))[0], ledger.decision(name)
        if decided is None:
            decisions.record_skip(row, known)
        elif decided.reason != SKIPPED:
            self._answer(request, f"it had been decided before: {decided.status} {decided.reason}")
            return
        move = f"{row.knob} {show(value_of(row.before))} -> {show(value_of(row.after))}"
        self._answer(request, f"{move} is not tried any more in this session", {"knob": row.knob, "value": row.after})

    def _propose(
        self, request: SteeringRequest, known: NightState, incumbent: Recipe, proposals: Proposals, waves: int
    ) -> None:
        knob, value = request.data["knob"], value_of(request.data["value"])
        try:
            row, child = proposals.of_person(incumbent, knob, value, request.data["why"])
        except IllegalRecipe as error:
            self._answer(request, f"refused: {error}")
            return
        if refusal := self._refusal(known, knob, value, is_new=child is not None, room=proposals.room):
            self._answer(request, f"refused: {refusal}")
            return
        number = row.id.removeprefix(f"{self._session}-")
        text = f"it is proposal {number}" + ("" if child else f", which {row.proposer} had proposed")
        data = {"proposal": row.id, "wave": waves + 1, "knob": knob, "value": request.data["value"]}
        self._answer(request, f"{text}, and in wave {waves + 1}", data, proposal=(row, child) if child else None)

    def _refusal(self, known: NightState, knob: str, value: Value, is_new: bool, room: int | None) -> str | None:
        """Why a change can no longer be measured and decided on; None if it can."""
        place = self._place(knob, value)
        if not known.affords_wave:
            return f"{known.left} probes are left, too few for a wave and a confirmation; raise nightlane budget"
        if is_new and room == 0:
            return "the session may propose no further change; raise nightlane budget --decisions"
        if not known.usable({**known.incumbent, knob: place}):
            return f"a recipe with {knob}={show(value)} crashed or cannot be run; propose another value"
        return None

    def _skipped(self) -> set[tuple[str, Place]]:
        """The moves that were skipped, and not proposed by a person since then."""
        found = dict[tuple[str, Place], bool]()
        for request in self._requests():
            if request.answer and request.what in BETWEEN_ROUNDS and "knob" in request.answer.data:
                knob, value = request.answer.data["knob"], value_of(request.answer.data["value"])
                found[knob, self._place(knob, value)] = request.what == "skip"
        return {move for move, is_skipped in found.items() if is_skipped}

    def _place(self, knob: str, value: Value) -> Place:
        return self.measurements.study.lanes.knob(knob).place(value)

    # requests and answers

    def finish(self, reason: str) -> None:
        """Finish the session, and refuse the requests that it has not taken."""
        measurements, refusal = self.measurements, RequestAnswer(time=now(), text="too late: the session ended first")
        for event in measurements.ledger.finish_and_refuse(
            self._session, refusal.time, reason, refusal, lambda request: _event(request, refusal.text)
        ):
            measurements.log.watcher.note(event)

    def _requests(self) -> tuple[SteeringRequest, ...]:
        return self.measurements.ledger.requests(self._session)

    @property
    def _session(self) -> str:
        return self.measurements.row.id

    def _open(self) -> list[SteeringRequest]:
        return [request for request in self._requests() if request.answer is None]

    def _answer(
        self,
        request: SteeringRequest,
        text: str,
        data: Mapping[str, Any] | None = None,
        *,
        proposal: tuple[ProposalRow, Recipe] | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the answer to a request together with its effect, and show it. ``data``: what a resumed session must
        know; ``proposal``, ``limits``: what the request added or changed."""
        measurements, answer = self.measurements, RequestAnswer(time=now(), text=text, data=data or {})
        event = _event(request, text)
        with uninterrupted(), full_disk_reported(measurements.workspace):
            measurements.ledger.answer_request(
                measurements.row.id, request.number, answer, event, proposal=proposal, limits=limits
            )
        if limits is not None:
            measurements.set_limits(limits)
        measurements.log.watcher.note(event)
        measurements.publish()


def _event(request: SteeringRequest, answer: str) -> str:
    return f"REQUEST {request.number} {in_words(request)}: {answer}"


def _why(stop: SteeringRequest) -> str:
    return f"a person stopped it (request {stop.number})"
