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
from probes.scoring.failures import scorer_failures_reported
from probes.scoring.judge.examination import Examination, examination_from
from probes.scoring.protocol import OnAsked, ignore_asked

REMEDY = "name another model, or mend the rubric or the calibration under [scorer]"


@dataclass
class JudgeMonitor(AbstractContextManager["JudgeMonitor"]):
    """``examiner``: None for a scorer that needs none. ``allowance``: returns what judging may cost from now on.
    ``note``: writes to the log. ``asked``: shows the progress of an examination. ``on_note``: gets notes while the
    scorer works, and may stop it by raising BudgetSpent.
    """

    examiner: ScorerExaminer | None
    study: Study
    allowance: Callable[[], Allowance]
    note: Callable[[str], None]
    asked: OnAsked = ignore_asked
    first_examination: Examination | None = None
    on_note: Callable[[str], None] | None = None

    @classmethod
    def of(cls, study: Study, allowance: Callable[[], Allowance], note: Callable[[str], None], asked: OnAsked) -> Self:
        """The monitor of a study. A simulated runner scores nothing, so it needs no examiner."""
        real = study.file.runner.kind != "simulated"
        examiner = scorer_class(study.scorer.kind).examiner(study.scorer, study.path.parent) if real else None
        return cls(examiner, study, allowance, note, asked)

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
        examination = self._examine(self.examiner, first=True)
        if examination.unfit:
            raise JudgeUnfit(f"a judge must pass its examination and {examination.unfit}; {REMEDY}")
        if examination.moved:
            number = self.examiner.end_epoch()
            self.note(
                f"JUDGE {examination.moved} since comparison epoch {examination.epoch}: this is another judge, epoch "
                f"{number} begins, and nothing is compared with what was measured before"
            )
            examination = replace(examination, epoch=number, shift=None)
        self.examiner.accept(examination)
        self.first_examination = examination

    def first_row(self, session: str) -> ExaminationRow | None:
        """The examination of ``begin``, which the ledger records together with the session."""
        return None if self.first_examination is None else _row(session, 0, self.first_examination)

    def ended_epoch(self, ledger: Ledger, session: str) -> str | None:
        """Why a session cannot continue: its comparison epoch has ended since its last examination. None if it can."""
        rows = ledger.examinations(session)
        if self.examiner is None or not rows or rows[-1].data["epoch"] == self.examiner.epoch:
            return None
        last = examination_from(rows[-1].data)
        cause = last.unfit or last.moved or "another session found that the judge had changed"
        return (
            f"comparison epoch {last.epoch} ended ({cause}), and nothing of this session can be compared with epoch "
            f"{self.examiner.epoch}"
        )

    def due(self, ledger: Ledger, session: str, turn: int) -> bool:
        """Whether an examination is due before this turn: enough decisions were made since the last one."""
        last = max((row.turn for row in ledger.examinations(session)), default=0)
        return self.examiner is not None and turn - 1 - last >= self.examiner.every

    def examine(self, ledger: Ledger, session: str, decisions: int) -> str | None:
        """Examine the scorer after ``decisions`` decisions; returns why the session must end, or None."""
        if self.examiner is None:
            return None
        examination = self._examine(self.examiner, first=False)
        ledger.record_examination(_row(session, decisions, examination))
        if not examination.unfit and not examination.moved:
            return None
        number = self.examiner.end_epoch()
        last = max((row.turn for row in ledger.examinations(session) if row.turn < decisions and row.passed), default=0)
        doubt = f"; decisions {last + 1} to {decisions} were made since it last passed" if decisions > last else ""
        return (
            f"the judge has changed: {examination.unfit or examination.moved}{doubt}; comparison epoch "
            f"{examination.epoch} ends here and the next session begins epoch {number}"
        )

    def choices(self, answers: Sequence[AnswerPair]) -> list[float | Missing]:
        """Which answer of each pair the examiner prefers. The session pays for it. MissingRequirement if the examiner
        fails, for example because it cannot write its cache."""
        if self.examiner is None:
            raise RuntimeError("this scorer does not choose between answers")
        with scorer_failures_reported(), SpendingMeter(self.allowance()) as meter:
            return list(self.examiner.prefer(answers, Context(self.on_note or self.note, meter)))

    def _examine(self, examiner: ScorerExaminer, first: bool) -> Examination:
        with scorer_failures_reported(), SpendingMeter(self.allowance()) as meter:
            context = Context(self.on_note or self.note, meter, self.asked)
            examination = examiner.examine(self.study.material.probe_prompts, context, first)
        self.note(f"JUDGE {examination.summary}")
        return examination


def _row(session: str, turn: int, examination: Examination) -> ExaminationRow:
    passed = not (examination.unfit or examination.moved)
    return ExaminationRow(session=session, turn=turn, time=now(), passed=passed, data=asdict(examination))


def examine_at_end(monitor: JudgeMonitor, ledger: Ledger, session: str, decisions: int) -> str | None:
    """Examine the scorer at the end of a session, unless its comparison epoch has ended; returns why the scorer is
    unfit, or None. A spent budget or an unavailable endpoint is noted, and is no error."""
    examined = {row.turn for row in ledger.examinations(session)}
    if monitor.examiner is None or decisions in examined or monitor.ended_epoch(ledger, session):
        return None
    try:
        return monitor.examine(ledger, session, decisions)
    except (BudgetSpent, EndpointUnavailable) as error:
        monitor.note(f"JUDGE not examined at the end, since a session does not wait then: {error}")
        return None
