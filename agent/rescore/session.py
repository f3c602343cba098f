"""Decides the confirmations of a session again, with another scorer of the same answers.

runs/rescore-SESSION-SCORER/   probe-ID.json: a reading by the new scorer; rescore.json: the result, written last

Nothing else in the workspace is written. Only stacks are replayed: changes that were not confirmed were decided on by a
model of all readings.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from agent.ledger.database.file import no_session_error
from agent.ledger.designs import RecordedStack, recorded_stacks
from agent.ledger.results.rows import value_of
from agent.ledger.store import Ledger
from agent.ledger.tables import RETRACTION, STACK, DecisionRow, SessionRow
from agent.policy.confirmation import ErrorSpending, RuleTerms, error_budget
from agent.rescore.answers import Chooser, Rescorer
from agent.rescore.replacement_scorer import ReplacementScorer
from agent.rescore.replay import Replayed, replay
from agent.study.load import Study, recorded_study
from agent.workspace.folder import Workspace
from common.digests import with_own_digest
from common.errors import BadInput
from common.files import write_durably
from lanes import show
from probes.endpoint.spending import Allowance, SpendingMeter
from probes.inputs.prompts import Prompt
from probes.result.comparison import Choice
from probes.result.reading import ProbeKey, Reading
from probes.run.store import ProbeStore
from probes.scoring import Context, scorer_class
from probes.scoring.failures import scorer_failures_reported

FEWEST_PAIRS = 2


@dataclass
class ReadingSides:
    """Readings of the stack (``candidate``) and of the incumbent (``baseline``), pair by pair; and the choices between
    their answers, if the scorer chooses."""

    candidate: list[Reading] = field(default_factory=list)
    baseline: list[Reading] = field(default_factory=list)
    choices: list[Choice] | None = None


@dataclass(frozen=True, kw_only=True)
class StackReplay:
    """One confirmation. ``decided``: what the session decided; ``retracted``: whether it retracted that later.
    ``old``, ``new``: what the rule decides by the pairs alone, with the night's scores and with the new ones; None
    where ``left_out`` says why. ``of_kept``: whether the new scorer kept every stack that the incumbent consists of."""

    number: int
    members: tuple[str, ...]
    changes: tuple[str, ...]
    is_aa_test: bool
    decided: str
    reason: str
    retracted: bool
    old: Replayed | None = None
    new: Replayed | None = None
    left_out: str = ""
    of_kept: bool = True


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """``scorers``: the kinds of the old and the new one. ``means``: category -> mean old and new score of the answers
    that both scored; empty if the new scorer chooses between answers."""

    session: str
    scorers: tuple[str, str]
    target: str
    stacks: tuple[StackReplay, ...]
    not_confirmed: int
    probes: int
    means: Mapping[str, tuple[float, float]]
    dollars: float
    folder: str


@dataclass
class _StackPairs:
    """The pairs of a session's stacks, as readings by both scorers. ``rescorer``: makes the new readings, or the
    choices between two old ones. ``ids``: (recipe, seed) -> probe."""

    store: ProbeStore
    rescorer: Rescorer | Chooser
    ids: Mapping[tuple[str, int], str]
    both: dict[str, tuple[Reading, Reading]] = field(default_factory=dict)

    def of(self, stack: RecordedStack, seeds: Sequence[tuple[int, int]]) -> tuple[ReadingSides, ReadingSides] | str:
        """The readings by the old and by the new scorer, or a sentence why there are none."""
        if len(seeds) < FEWEST_PAIRS:
            return "fewer than two pairs were compared"
        old, new = ReadingSides(), ReadingSides(choices=[] if isinstance(self.rescorer, Chooser) else None)
        for mine, theirs in seeds:
            candidate, baseline = self._both(stack.recipe.digest, mine), self._both(stack.incumbent, theirs)
            if isinstance(candidate, str) or isinstance(baseline, str):
                return candidate if isinstance(candidate, str) else str(baseline)
            for sides, one, other in zip((old, new), candidate, baseline, strict=True):
                sides.candidate.append(_posed(one, theirs))
                sides.baseline.append(other)
            if isinstance(self.rescorer, Chooser) and new.choices is not None:
                chosen = self.rescorer.choices(candidate[0], baseline[0])
                if isinstance(chosen, str):
                    return chosen
                new.choices += chosen
        return old, new

    def _both(self, recipe: str, seed: int) -> tuple[Reading, Reading] | str:
        probe = self.ids.get((recipe, seed), "")
        if probe not in self.both:
            old = self.store.read(probe) if probe else None
            if not isinstance(old, Reading):
                return f"probe {probe or 'of seed ' + str(seed)} is gone"
            new = old if isinstance(self.rescorer, Chooser) else self.rescorer.rescored(old)
            if isinstance(new, str):
                return new
            self.both[probe] = old, new
        return self.both[probe]


@dataclass(frozen=True)
class _Confirmed:
    """The confirmations of a session that are decided again: its ``stacks`` with their decisions. ``key``: the probe
    key of the session."""

    session: SessionRow
    study: Study
    stacks: Sequence[tuple[RecordedStack, DecisionRow]]
    store: ProbeStore
    key: ProbeKey

    @classmethod
    def of(cls, workspace: Workspace, ledger: Ledger, session_id: str | None) -> "_Confirmed":
        """BadInput if there is no such session, or it has no confirmation, or its probes are gone."""
        session = ledger.session(session_id)
        if session is None:
            raise (
                no_session_error(workspace.ledger)
                if session_id is None
                else BadInput(
                    f"there is no session {session_id!r} in {workspace.ledger}; nightlane status names the latest"
                )
            )
        study = recorded_study((workspace.root / session.study_path).resolve(), session.study_text)
        stacks = recorded_stacks(ledger.checks(session.id, STACK))
        concluded = [(stack, made) for stack in stacks if (made := ledger.decision(stack.members[0]))]
        if not concluded:
            raise BadInput(f"session {session.id} confirmed no stack, so there is nothing to decide again")
        store = ProbeStore(workspace.runs)
        key = store.key(session.key)
        if key is None:
            raise BadInput(f"no probe of session {session.id} is left in {workspace.runs}; restore runs/probe-*/")
        return cls(session, study, concluded, store, key)

    def probe_ids(self, ledger: Ledger) -> dict[tuple[str, int], str]:
        """(recipe, seed) -> the id of the probe, for the probes that were compared."""
        seeds = {seed for _, decision in self.stacks for pair in _seeds(decision) for seed in pair}
        rows = ledger.probes_under(self.session.key, sorted(seeds))
        return {(row.recipe, row.seed): row.id for row in rows if row.kind == "reading"}


def rescore(
    workspace: Workspace,
    session_id: str | None,
    new: ReplacementScorer,
    note: Callable[[str], None],
    dollars: float | None = None,
) -> Rescored:
    """Score the kept answers of a session's confirmations again, and decide again. ``dollars``: limit on judging.

    BadInput if there is no such session, or it has no confirmation; BudgetSpent if judging costs more; errors of the
    scorer as in a probe. Scores are stored at once, so the same call continues an interrupted one.
    """
    with Ledger(workspace.ledger, read_only=True) as ledger:
        confirmed = _Confirmed.of(workspace, ledger, session_id)
        session, study = confirmed.session, confirmed.study
        prompts = {prompt.id: prompt for prompt in new.prompts_of(study.material, confirmed.key)}
        folder = workspace.runs / f"rescore-{session.id}-{new.digest[:8]}"
        folder.mkdir(exist_ok=True)
        allowance = Allowance(file=folder / "judging.sqlite", session=session.id, dollars=dollars)
        with _rescorer(new, prompts, confirmed.store, folder, allowance, note) as (rescorer, meter):
            pairs = _StackPairs(confirmed.store, rescorer, confirmed.probe_ids(ledger))
            replays = tuple(_replays(ledger, study, confirmed.stacks, pairs, note))
            spent = meter.spent.dollars
        rows = ledger.decisions("WHERE session = ? AND turn > 0", (session.id,))
    found = Rescored(
        session=session.id,
        scorers=(study.scorer.kind, new.settings.kind),
        target=study.target,
        stacks=replays,
        not_confirmed=sum(row.basis is None or row.basis.stack is None for row in rows),
        probes=len(pairs.both),
        means={} if new.settings.chooses else _means(pairs.both.values()),
        dollars=spent,
        folder=str(folder),
    )
    write_durably(folder / "rescore.json", with_own_digest(json.dumps(asdict(found), indent=1)))
    return found


@contextmanager
def _rescorer(
    new: ReplacementScorer,
    prompts: Mapping[str, Prompt],
    store: ProbeStore,
    folder: Path,
    allowance: Allowance,
    note: Callable[[str], None],
) -> Iterator[tuple[Rescorer | Chooser, SpendingMeter]]:
    """Open the other scorer, which scores answers or chooses between them; also yields the meter of its cost."""
    settings, kind = new.settings, scorer_class(new.settings.kind)
    opened: Any = (kind.examiner if settings.chooses else kind)(settings, new.folder)
    try:
        with scorer_failures_reported(), SpendingMeter(allowance) as meter:
            context = Context(note, meter)
            if settings.chooses:
                yield Chooser(opened, settings, prompts, store, folder, context), meter
            else:
                yield Rescorer(opened, settings, new.digest, prompts, store, folder, context), meter
    finally:
        opened.close()


def _seeds(decision: DecisionRow) -> tuple[tuple[int, int], ...]:
    return decision.basis.stack.seeds if decision.basis and decision.basis.stack else ()


def _replays(
    ledger: Ledger,
    study: Study,
    concluded: Sequence[tuple[RecordedStack, DecisionRow]],
    pairs: _StackPairs,
    note: Callable[[str], None],
) -> Iterator[StackReplay]:
    """Replay the stacks, oldest first. Each scorer has its own sums of what earlier KEEPs did to the guards."""
    terms, accounts = (
        RuleTerms(study.file.policy, study.target, study.guards),
        (list[ErrorSpending](), list[ErrorSpending]()),
    )
    refused = set[str]()
    for stack, decision in concluded:
        note(f"stack {stack.number}: {len(_seeds(decision))} pairs")
        found, replays = pairs.of(stack, _seeds(decision)), list[Replayed]()
        for sides, own in zip(() if isinstance(found, str) else found, accounts, strict=False):
            before = {} if stack.is_aa_test else error_budget(own, terms.policy).cumulative
            made, account = replay(sides.candidate, sides.baseline, stack.given, terms, before, sides.choices)
            replays.append(made)
            own += [] if stack.is_aa_test else [account]
        old, new = replays or (None, None)
        if not stack.is_aa_test and (stack.incumbent in refused or new is None or new.status != "KEEP"):
            refused.add(stack.recipe.digest)
        members = [row for row in ledger.proposals("WHERE session = ?", (stack.session,)) if row.id in stack.members]
        yield StackReplay(
            number=stack.number,
            members=stack.members,
            changes=tuple(f"{row.knob} {show(value_of(row.before))} -> {show(value_of(row.after))}" for row in members),
            is_aa_test=stack.is_aa_test,
            decided=decision.status,
            reason=decision.reason,
            retracted=any(ledger.decision(member + RETRACTION) for member in stack.members),
            old=old,
            new=new,
            left_out=found if isinstance(found, str) else "",
            of_kept=stack.incumbent not in refused,
        )


def _posed(reading: Reading, seed: int) -> Reading:
    """The reading as if it had this seed: an A/A test pairs readings of different seeds."""
    return replace(reading, seed=seed)


def _means(both: Iterable[tuple[Reading, Reading]]) -> dict[str, tuple[float, float]]:
    """Category -> mean old and new score of the answers that both scored."""
    values: dict[str, list[tuple[float, float]]] = {}
    for old, new in both:
        scored = {(one.prompt, one.sample): one.value for one in new.scores}
        for one in old.scores:
            if (one.prompt, one.sample) in scored:
                values.setdefault(one.category, []).append((one.value, scored[one.prompt, one.sample]))
    return {name: (fmean(a for a, _ in own), fmean(b for _, b in own)) for name, own in sorted(values.items())}
