"""Everything that the ledger and the probe directories have about one session."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from agent.ledger.database.file import no_session_error
from agent.ledger.designs import RecordedStack, RecordedWave, designed_recipes, recorded_stacks, recorded_waves
from agent.ledger.requests import SteeringRequest, requests_among
from agent.ledger.store import Ledger
from agent.ledger.tables import (
    STACK,
    WAVE,
    CheckRow,
    DecisionRow,
    ExaminationRow,
    ProbeRow,
    ProposalRow,
    SessionRow,
    last_incumbent,
)
from agent.loop.budget import Spent, has_prices, spent_by, with_overrides
from agent.proposers.context import CALIBRATION
from agent.study.load import Study, recorded_study
from agent.study.schema import Budget
from agent.workspace.folder import Workspace
from common.errors import BadInput
from evaluation.results import ScoredSample
from lanes import Recipe
from probes.endpoint.spending import spent_on_judging
from probes.result.reading import Failure, Outcome, Reading
from probes.run.store import ProbeStore


@dataclass(frozen=True, kw_only=True)
class SessionRecord:
    """One session, as the ledger and the directories have it now.

    ``probes`` are those that this session measured, ``borrowed`` those of its recipes that other sessions measured.
    ``outcomes`` has what their directories still contain, by probe id, and reads it on demand. ``holder`` is the
    process that runs this session now. ``recipes`` has every recipe that was the incumbent, by digest.
    ``study_aa_tests``: decisions on A/A tests, of all sessions of the study.
    """

    workspace: Workspace
    session: SessionRow
    study: Study
    budget: Budget
    spent: Spent
    decisions: tuple[DecisionRow, ...]
    proposals: Mapping[str, ProposalRow]
    probes: tuple[ProbeRow, ...]
    borrowed: tuple[ProbeRow, ...]
    outcomes: Mapping[str, Outcome]
    store: ProbeStore
    recipes: Mapping[str, Recipe]
    examinations: tuple[ExaminationRow, ...]
    checks: tuple[CheckRow, ...]
    study_aa_tests: tuple[DecisionRow, ...]
    judging_dollars: float
    active_seconds: float
    holder: int | None

    @cached_property
    def answers(self) -> Mapping[str, tuple[ScoredSample, ...]]:
        """The judged answers of the starting recipe and of the incumbent, by recipe."""
        digests = (self.session.start, last_incumbent(self.session, self.decisions))
        return {digest: _answers(self.store, self.readings(digest)) for digest in digests}

    @property
    def incumbent(self) -> Recipe:
        """The incumbent at the end of the session, or when it was interrupted."""
        return self.recipes[last_incumbent(self.session, self.decisions)]

    @property
    def start(self) -> Recipe:
        return self.recipes[self.session.start]

    @property
    def decisions_on_changes(self) -> tuple[DecisionRow, ...]:
        """The decisions on proposals that changed something: neither A/A tests nor retractions."""
        made = [decision for decision in self.decisions if decision.turn > 0]
        return tuple(decision for decision in made if self.proposals[decision.id].lane != CALIBRATION)

    @property
    def aa_tests(self) -> tuple[DecisionRow, ...]:
        """The decisions on candidates that were the incumbent itself."""
        made = [decision for decision in self.decisions if decision.turn > 0]
        return tuple(decision for decision in made if self.proposals[decision.id].lane == CALIBRATION)

    @property
    def retractions(self) -> Mapping[str, DecisionRow]:
        """The RETRACT decisions, by the id of the KEEP that each takes back."""
        rows = [decision for decision in self.decisions if decision.status == "RETRACT"]
        return {decision.proposal: decision for decision in rows}

    def check(self, kind: str) -> CheckRow | None:
        """The only check of a kind: the noise floor, or the holdout."""
        return next((check for check in self.checks if check.kind == kind), None)

    @cached_property
    def waves(self) -> tuple[RecordedWave, ...]:
        """The waves, oldest first."""
        return recorded_waves(self.checks)

    @cached_property
    def stacks(self) -> tuple[RecordedStack, ...]:
        """The stacks, A/A tests and undecided ones included, oldest first."""
        return recorded_stacks(self.checks)

    @cached_property
    def requests(self) -> tuple[SteeringRequest, ...]:
        """The requests of a person, oldest first."""
        return requests_among(self.checks)

    @cached_property
    def carriers(self) -> Mapping[str, tuple[str, ...]]:
        """For each proposal, the digests of the recipes of this session's waves that carried it, each once."""
        found: dict[str, dict[str, None]] = {}
        for made in (made for wave in self.waves for made in wave.recipes):
            for proposal in made.proposals:
                found.setdefault(proposal, {})[made.digest] = None
        return {proposal: tuple(recipes) for proposal, recipes in found.items()}

    @property
    def in_flight(self) -> tuple[ProposalRow, ...]:
        """Proposals without a decision: the session runs or was interrupted, or the budget ended before anything was
        measured of them."""
        known = {decision.id for decision in self.decisions}
        return tuple(proposal for proposal in self.proposals.values() if proposal.id not in known)

    @property
    def state(self) -> str:
        if self.session.finished:
            return "finished"
        return "interrupted" if self.holder is None else "running"

    @property
    def missing(self) -> tuple[str, ...]:
        """Probes that are in the ledger but can no longer be read from a directory."""
        return tuple(row.id for row in (*self.probes, *self.borrowed) if row.id not in self.outcomes)

    def readings(self, recipe: str) -> list[Reading]:
        """The readings of a recipe on the probe prompts that still exist, in the order of their seeds."""
        return _readings(recipe, self.session, (*self.probes, *self.borrowed), self.outcomes)

    @property
    def baseline_readings(self) -> list[Reading]:
        """The readings of the starting recipe under the study's own seeds, which the session begins with."""
        seeds = self.study.file.probe.seeds
        return [reading for reading in self.readings(self.session.start) if reading.seed in seeds]

    def failures(self, recipe: str) -> list[Failure]:
        """Why a recipe has no reading: from its directories, or from the ledger if those are gone."""
        found = []
        for row in (*self.probes, *self.borrowed):
            outcome = self.outcomes.get(row.id)
            if row.recipe == recipe and isinstance(outcome, Failure):
                found.append(outcome)
            elif row.recipe == recipe and outcome is None and row.kind != "reading":
                found.append(Failure(row.id, row.seed, row.kind, row.message))  # type: ignore[arg-type]
        return found

    @property
    def priced(self) -> bool:
        return has_prices(self.study)


def load_record(workspace: Workspace, session_id: str | None) -> SessionRecord:
    """The session of that id, or the latest; BadInput when there is none."""
    with Ledger(workspace.ledger, read_only=True) as ledger:
        session = ledger.session(session_id)
        if session is None:
            raise _unknown(workspace, session_id, ledger.sessions())
        study = recorded_study((workspace.root / session.study_path).resolve(), session.study_text)
        decisions = tuple(ledger.decisions("WHERE session = ?", (session.id,)))
        proposals = {row.id: row for row in ledger.proposals("WHERE session = ?", (session.id,))}
        incumbents = {session.start, *(decision.incumbent for decision in decisions)}
        probes = tuple(ledger.probes(session.id))
        budget = with_overrides(study.file.budget, session.limits)
        checks = tuple(ledger.checks(session.id))
        designed = {made.digest for check in checks if check.kind in (WAVE, STACK) for made in designed_recipes(check)}
        moved = {digest for row in proposals.values() for digest in (row.parent, row.child)}
        borrowed = _borrowed(ledger, session, incumbents | designed | moved, study.file.probe.seeds, probes)
        store = ProbeStore(workspace.runs)
        return SessionRecord(
            workspace=workspace,
            session=session,
            study=study,
            budget=budget,
            spent=spent_by(ledger, session.id, budget, workspace),
            decisions=decisions,
            proposals=proposals,
            probes=probes,
            borrowed=borrowed,
            outcomes=_OutcomesByProbe(store, (*probes, *borrowed)),
            store=store,
            recipes={digest: ledger.recipe(digest) for digest in sorted(incumbents)},
            examinations=tuple(ledger.examinations(session.id)),
            checks=checks,
            study_aa_tests=_study_aa_tests(ledger, session),
            judging_dollars=spent_on_judging(workspace.judging, session.id),
            active_seconds=ledger.active_seconds(session.id),
            holder=holder_of(workspace, ledger, session),
        )


def _unknown(workspace: Workspace, session_id: str | None, known: Sequence[str]) -> BadInput:
    if not known:
        return no_session_error(workspace.ledger)
    return BadInput(
        f"there is no session {session_id!r} in {workspace.ledger}; the latest are {', '.join(known[-5:])}, "
        "and without an id the last one is taken"
    )


def _study_aa_tests(ledger: Ledger, session: SessionRow) -> tuple[DecisionRow, ...]:
    """The A/A tests of all sessions of the study."""
    where = "WHERE reason IN ('calibration', 'false_alarm') AND session IN (SELECT id FROM sessions WHERE study = ?)"
    return tuple(ledger.decisions(where, (session.study,)))


def _borrowed(
    ledger: Ledger, session: SessionRow, recipes: set[str], seeds: Sequence[int], own: Sequence[ProbeRow]
) -> tuple[ProbeRow, ...]:
    """Probes of this session's recipes under its probe key that other sessions measured, each once."""
    known = {row.id for row in own}
    found: dict[str, ProbeRow] = {}
    for row in ledger.probes_under(session.key, seeds):
        if row.recipe in recipes and row.id not in known:
            found.setdefault(row.id, row)
    return tuple(found.values())


class _OutcomesByProbe(Mapping[str, Outcome]):
    """Outcomes by probe id, each read once, when it is first needed. A directory that is missing, incomplete or of
    another probe has none."""

    def __init__(self, store: ProbeStore, rows: Iterable[ProbeRow]) -> None:
        self._store, self._rows = store, {row.id: row for row in rows}
        self._read: dict[str, Outcome | None] = {}

    def __getitem__(self, probe: str) -> Outcome:
        if probe not in self._read:
            self._read[probe] = self._found(self._rows[probe])
        found = self._read[probe]
        if found is None:
            raise KeyError(probe)
        return found

    def __iter__(self) -> Iterator[str]:
        return (probe for probe in self._rows if probe in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _found(self, row: ProbeRow) -> Outcome | None:
        outcome = self._store.read(row.id)
        if outcome is None:
            return None
        strange = isinstance(outcome, Reading) and (outcome.recipe, outcome.key.digest) != (row.recipe, row.key)
        return outcome if outcome.seed == row.seed and not strange else None


def _readings(
    recipe: str, session: SessionRow, rows: Iterable[ProbeRow], outcomes: Mapping[str, Outcome]
) -> list[Reading]:
    found = [outcomes.get(row.id) for row in rows if (row.recipe, row.key) == (recipe, session.key)]
    return sorted((outcome for outcome in found if isinstance(outcome, Reading)), key=lambda reading: reading.seed)


def _answers(store: ProbeStore, readings: Iterable[Reading]) -> tuple[ScoredSample, ...]:
    """The answers of the readings, if the scorer marks each as passed or failed; else none. Their texts may be gone."""
    found = []
    for reading in readings:
        rows = {(row.get("prompt"), row.get("sample")): row for row in store.answers(reading.probe)}
        for score in reading.scores:
            if "pass" not in score.components:
                return ()
            row = rows.get((score.prompt, score.sample), {})
            found.append(
                ScoredSample(
                    problem=score.prompt,
                    category=score.category,
                    seed=reading.seed,
                    sample=score.sample,
                    answer=str(row.get("text", "")),
                    passed=score.components["pass"] == 1,
                    failure_class=score.outcome,
                    score=score.value,
                    note=str(row.get("note", "")),
                    format_only=bool(row.get("format_only", False)),
                )
            )
    return tuple(found)


def holder_of(workspace: Workspace, ledger: Ledger, session: SessionRow) -> int | None:
    """The process that runs this session: the workspace's holder, if the last thing it noted belongs to it."""
    holder = workspace.holder()
    if holder is None or session.finished or ledger.session_of_last_event() not in (None, session.id):
        return None
    return holder
