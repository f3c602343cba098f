"""Keeps an eye on the scorer of a session: examined at the start, at intervals and at the end, by its own overseer.

A scorer that fails ends the session: what it would still give could not be compared with what it gave.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Self

from agent.ledger.store import Ledger
from agent.ledger.tables import ExaminationRow
from agent.study.schema import Study
from common.clock import now
from common.errors import BudgetSpent, EndpointUnavailable, JudgeUnfit
from probes.endpoint.spending import Allowance, Purse
from probes.scoring import Context, Duel, Missing, Overseer, scorer_class
from probes.scoring.judge.examination import Examination, examination_from

REMEDY = "name another model, or mend the rubric or the calibration under [scorer]"


@dataclass
class Examiner(AbstractContextManager["Examiner"]):
    """``overseer``: None for a scorer that needs none. ``allowance``: what judging may cost by now. ``note``: for the
    log; ``heard`` is told what is said while the scorer is asked, and may end that by raising BudgetSpent."""

    overseer: Overseer | None
    study: Study
    allowance: Callable[[], Allowance]
    note: Callable[[str], None]
    begun: Examination | None = None
    heard: Callable[[str], None] | None = None

    @classmethod
    def of(cls, study: Study, allowance: Callable[[], Allowance], note: Callable[[str], None]) -> Self:
        """The examiner of a study. A simulated runner scores nothing, so nobody is examined."""
        real = study.file.runner.kind != "simulated"
        overseer = scorer_class(study.scorer.kind).overseer(study.scorer, study.path.parent) if real else None
        return cls(overseer, study, allowance, note)

    def __exit__(self, *_: object) -> None:
        if self.overseer is not None:
            self.overseer.close()

    @property
    def chooses(self) -> bool:
        return self.overseer is not None and self.overseer.chooses

    def begin(self) -> None:
        """Before a session starts: JudgeUnfit, or the comparison epoch that stands or begins now."""
        if self.overseer is None:
            return
        found = self._examine(self.overseer, first=True)
        if found.unfit:
            raise JudgeUnfit(f"a judge must pass its examination and {found.unfit}; {REMEDY}")
        if found.moved:
            number = self.overseer.end_epoch()
            self.note(
                f"JUDGE {found.moved} since comparison epoch {found.epoch}: this is another judge, epoch {number} "
                "begins, and nothing is compared with what was measured before"
            )
            found = replace(found, epoch=number, shift=None)
        self.overseer.accept(found)
        self.begun = found

    def record_beginning(self, ledger: Ledger, session: str) -> None:
        """Once there is a session to record it for."""
        if self.begun is not None:
            self._record(ledger, session, 0, self.begun)

    def epoch_ended(self, ledger: Ledger, session: str) -> str | None:
        """Why a session cannot go on: the comparison epoch it was in has ended since it was last examined."""
        rows = ledger.examinations(session)
        if self.overseer is None or not rows or rows[-1].data["epoch"] == self.overseer.epoch:
            return None
        why = examination_from(rows[-1].data)
        told = why.unfit or why.moved or "another session found that the judge had changed"
        return (
            f"comparison epoch {why.epoch} ended ({told}) and epoch {self.overseer.epoch} began, with which nothing "
            "of this session can be compared"
        )

    def due(self, ledger: Ledger, session: str, turn: int) -> bool:
        """Before this turn, when so many decisions were made since the last examination."""
        last = max((row.turn for row in ledger.examinations(session)), default=0)
        return self.overseer is not None and turn - 1 - last >= self.overseer.every

    def look(self, ledger: Ledger, session: str, decisions: int) -> str | None:
        """Examine after so many decisions: why the session must end, or None."""
        if self.overseer is None:
            return None
        found = self._examine(self.overseer, first=False)
        self._record(ledger, session, decisions, found)
        if not found.unfit and not found.moved:
            return None
        number = self.overseer.end_epoch()
        last = max((row.turn for row in ledger.examinations(session) if row.turn < decisions and row.passed), default=0)
        doubt = f"; decisions {last + 1} to {decisions} were made since it last passed" if decisions > last else ""
        return (
            f"the judge is not what it was: {found.unfit or found.moved}{doubt}; comparison epoch {found.epoch} ends "
            f"here and the next session begins epoch {number}"
        )

    def choices(self, duels: Sequence[Duel]) -> list[float | Missing]:
        """What the overseer prefers, at the session's cost."""
        if self.overseer is None:
            raise RuntimeError("nobody chooses between answers here")
        with Purse(self.allowance()) as purse:
            return list(self.overseer.prefer(duels, Context(self.heard or self.note, purse)))

    def _examine(self, overseer: Overseer, first: bool) -> Examination:
        with Purse(self.allowance()) as purse:
            found = overseer.examine(self.study.material.probe_prompts, Context(self.heard or self.note, purse), first)
        self.note(f"JUDGE {found.summary}")
        return found

    def _record(self, ledger: Ledger, session: str, turn: int, found: Examination) -> None:
        passed = not (found.unfit or found.moved)
        ledger.record_examination(
            ExaminationRow(session=session, turn=turn, time=now(), passed=passed, data=asdict(found))
        )


def last_look(examiner: Examiner, ledger: Ledger, session: str, decisions: int) -> str | None:
    """As ``look``, at a session's end: money or an endpoint that is gone is a reason to say so, not to fail."""
    if examiner.overseer is None or decisions in {row.turn for row in ledger.examinations(session)}:
        return None
    try:
        return examiner.look(ledger, session, decisions)
    except (BudgetSpent, EndpointUnavailable) as error:
        examiner.note(f"JUDGE not examined at the end, since nothing is waited for then: {error}")
        return None
