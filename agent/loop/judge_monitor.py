"""Monitors the scorer of a session: its examiner examines it at the start, at intervals and at the end.

A scorer that fails ends the session, since its new scores could not be compared with its earlier ones.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Self

from agent.ledger.store import Ledger
from agent.ledger.tables import ExaminationRow
from agent.study.load import Study
from common.clock import now
from common.errors import BudgetSpent, EndpointUnavailable, JudgeUnfit
from probes.endpoint.spending import Allowance, SpendingMeter
from probes.scoring import AnswerPair, Context, Missing, ScorerExaminer, scorer_class
from probes.scoring.judge.examination import Examination, examination_from

REMEDY = "name another model, or mend the rubric or the calibration under [scorer]"


@dataclass
class JudgeMonitor(AbstractContextManager["JudgeMonitor"]):
    """``examiner``: None for a scorer that needs none. ``allowance``: what judging may cost by now. ``note``: for the
    log; ``heard`` is told what is said while the scorer is asked, and may end that by raising BudgetSpent."""

    examiner: ScorerExaminer | None
    study: Study
    allowance: Callable[[], Allowance]
    note: Callable[[str], None]
    first_examination: Examination | None = None
    on_note: Callable[[str], None] | None = None

    @classmethod
    def of(cls, study: Study, allowance: Callable[[], Allowance], note: Callable[[str], None]) -> Self:
        """The monitor of a study. A simulated runner scores nothing, so it needs no examiner."""
        real = study.file.runner.kind != "simulated"
        examiner = scorer_class(study.scorer.kind).examiner(study.scorer, study.path.parent) if real else None
        return cls(examiner, study, allowance, note)

    def __exit__(self, *_: object) -> None:
        if self.examiner is not None:
            self.examiner.close()

    @property
    def chooses(self) -> bool:
        return self.examiner is not None and self.examiner.chooses

    def begin(self) -> None:
        """Examine the scorer before a session starts; JudgeUnfit if it fails. May begin a new comparison epoch."""
        if self.examiner is None:
            return
        found = self._examine(self.examiner, first=True)
        if found.unfit:
            raise JudgeUnfit(f"a judge must pass its examination and {found.unfit}; {REMEDY}")
        if found.moved:
            number = self.examiner.end_epoch()
            self.note(
                f"JUDGE {found.moved} since comparison epoch {found.epoch}: this is another judge, epoch {number} "
                "begins, and nothing is compared with what was measured before"
            )
            found = replace(found, epoch=number, shift=None)
        self.examiner.accept(found)
        self.first_examination = found

    def record_first_examination(self, ledger: Ledger, session: str) -> None:
        """Record the examination of ``begin``, once the session is in the ledger."""
        if self.first_examination is not None:
            self._record(ledger, session, 0, self.first_examination)

    def ended_epoch(self, ledger: Ledger, session: str) -> str | None:
        """Why a session cannot continue: its comparison epoch has ended since its last examination. None if it can."""
        rows = ledger.examinations(session)
        if self.examiner is None or not rows or rows[-1].data["epoch"] == self.examiner.epoch:
            return None
        why = examination_from(rows[-1].data)
        cause = why.unfit or why.moved or "another session found that the judge had changed"
        return (
            f"comparison epoch {why.epoch} ended ({cause}) and epoch {self.examiner.epoch} began, with which nothing "
            "of this session can be compared"
        )

    def due(self, ledger: Ledger, session: str, turn: int) -> bool:
        """Whether an examination is due before this turn: enough decisions were made since the last one."""
        last = max((row.turn for row in ledger.examinations(session)), default=0)
        return self.examiner is not None and turn - 1 - last >= self.examiner.every

    def examine(self, ledger: Ledger, session: str, decisions: int) -> str | None:
        """Examine the scorer after ``decisions`` decisions; returns why the session must end, or None."""
        if self.examiner is None:
            return None
        found = self._examine(self.examiner, first=False)
        self._record(ledger, session, decisions, found)
        if not found.unfit and not found.moved:
            return None
        number = self.examiner.end_epoch()
        last = max((row.turn for row in ledger.examinations(session) if row.turn < decisions and row.passed), default=0)
        doubt = f"; decisions {last + 1} to {decisions} were made since it last passed" if decisions > last else ""
        return (
            f"the judge is not what it was: {found.unfit or found.moved}{doubt}; comparison epoch {found.epoch} ends "
            f"here and the next session begins epoch {number}"
        )

    def choices(self, duels: Sequence[AnswerPair]) -> list[float | Missing]:
        """Which answers the examiner prefers. The session pays for it."""
        if self.examiner is None:
            raise RuntimeError("nobody chooses between answers here")
        with SpendingMeter(self.allowance()) as meter:
            return list(self.examiner.prefer(duels, Context(self.on_note or self.note, meter)))

    def _examine(self, examiner: ScorerExaminer, first: bool) -> Examination:
        with SpendingMeter(self.allowance()) as meter:
            found = examiner.examine(
                self.study.material.probe_prompts, Context(self.on_note or self.note, meter), first
            )
        self.note(f"JUDGE {found.summary}")
        return found

    def _record(self, ledger: Ledger, session: str, turn: int, found: Examination) -> None:
        passed = not (found.unfit or found.moved)
        ledger.record_examination(
            ExaminationRow(session=session, turn=turn, time=now(), passed=passed, data=asdict(found))
        )


def examine_at_end(monitor: JudgeMonitor, ledger: Ledger, session: str, decisions: int) -> str | None:
    """Examine the scorer at the end of a session. A spent budget or a lost endpoint is noted and does not fail."""
    if monitor.examiner is None or decisions in {row.turn for row in ledger.examinations(session)}:
        return None
    try:
        return monitor.examine(ledger, session, decisions)
    except (BudgetSpent, EndpointUnavailable) as error:
        monitor.note(f"JUDGE not examined at the end, since nothing is waited for then: {error}")
        return None
