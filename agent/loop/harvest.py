"""The harvest: both recipes of a resolved decision answer the harvest prompts, and their answers become pairs.

It trains nothing: it uses the adapters of the first pairs of probes of the decision's confirmation. Rows, probes and
the record of each harvest are keyed, so a kill costs at most the answers in flight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agent.ledger.tables import CheckRow, DecisionRow, ProposalRow
from agent.loop.measurements import Measurements
from agent.policy.decision_basis import ConfirmationRecord
from agent.workspace.full_disk import full_disk_reported
from common.clock import now
from common.errors import BadInput, BudgetSpent
from common.files import describe_file_error
from common.interrupts import uninterrupted
from preferences.collection.pairing import (
    INDEPENDENT,
    BatchSettings,
    DecidedPair,
    ScoredAnswer,
    dpo_rows,
    preference_rows,
    reward_rows,
    without_repetitions,
)
from preferences.store.provenance import TextOrigin
from preferences.store.rows import KINDS, Row
from preferences.store.stores import Stores
from probes.generate.random_keys import sampling_seed
from probes.result.cut_answers import REMEDY, CutAnswers, cut_answers
from probes.result.reading import Failure, Probe

HARVEST = "harvest"
REFUSED = "harvest_refused"
"""Kinds of checks in the ledger: the harvest of a decision (its rows, or why it has none), and a harvest that the
stores refused for now."""
NO_PAIRS = "no answers that differ enough"


@dataclass(frozen=True)
class _HarvestItem:
    """A decision, and the probes whose adapters answer the harvest prompts: of the ``kept`` recipe and of the
    ``discarded`` one, pair by pair."""

    decision: DecisionRow
    ruling: DecidedPair
    kept: tuple[Probe, ...]
    discarded: tuple[Probe, ...]

    @property
    def probes(self) -> tuple[Probe, ...]:
        return (*self.kept, *self.discarded)


@dataclass
class Harvest:
    """The harvest of one session. ``_waiting``: decisions to harvest; ``_last_decision``: the row number of the last
    decision that was read; ``_harvested_probes``: session -> ids; ``_refusal``: why the stores refused the last
    harvest, which is logged once."""

    measurements: Measurements
    _waiting: dict[str, tuple[DecisionRow, ConfirmationRecord, ProposalRow]] = field(default_factory=dict)
    _last_decision: int = 0
    _harvested_probes: dict[str, set[str]] = field(default_factory=dict)
    _refusal: str = ""

    def harvest_decisions(self) -> None:
        """Make the pairs of every resolved decision that has none yet, unless the budget is spent."""
        if not self._prompts:
            return
        items = self._unharvested()
        turns = ", ".join(item.decision.id[-3:] for item in items)
        probes = [probe for item in items for probe in item.probes]
        try:
            self.measurements.measure(f"harvest of {turns}", probes, with_answers=probes)
        except BudgetSpent as error:
            self.measurements.log.watcher.note(f"the harvest of {turns} is left out: {error}")
            return
        for item in items:
            try:
                self._record(item.decision, HARVEST, self._make_pairs(item))
            except BadInput as error:  # a damaged or unwritable file, or rows of another form, must not end the night
                self._record(item.decision, REFUSED, {"failure": str(error)})

    @cached_property
    def _prompts(self) -> Sequence[str]:
        """Ids of the harvest prompts; none if the runner has no model."""
        if self.measurements.runner.base is not None:
            return ()
        return [prompt.id for prompt in self.measurements.study.material.prompts_of(HARVEST)]

    def _unharvested(self) -> list["_HarvestItem"]:
        """The session's resolved decisions without a harvest, and decisions of earlier sessions whose harvest the
        stores refused."""
        row, ledger = self.measurements.row, self.measurements.ledger
        if not self._last_decision:
            for name in ledger.subjects_without(row.question, row.key, REFUSED, HARVEST):
                self._enqueue(ledger.decision(name))
        for number, decision in ledger.decisions_after(row.id, self._last_decision):
            self._last_decision = number
            if not ledger.has_check(row.id, HARVEST, decision.id):
                self._enqueue(decision)
        return [self._item(*waiting) for waiting in self._waiting.values()]

    def _enqueue(self, decision: DecisionRow | None) -> None:
        """Add a decision to those to harvest. A stack is harvested once, for the decision on its first member."""
        stack = decision.basis.stack if decision and decision.basis else None
        if decision is None or stack is None or stack.is_aa_test or not stack.seeds or decision.id != stack.members[0]:
            return
        (proposal,) = self.measurements.ledger.proposals("WHERE id = ?", (decision.id,))
        if _ruling(decision, stack, proposal).resolved:
            self._waiting[decision.id] = (decision, stack, proposal)

    def _item(self, decision: DecisionRow, stack: ConfirmationRecord, proposal: ProposalRow) -> "_HarvestItem":
        """The harvest of a decision, by the adapters of the first pairs of its confirmation."""
        ledger, key, study = self.measurements.ledger, self.measurements.key, self.measurements.study
        harvest_key, sides = study.material.harvest_key(key), list[tuple[Probe, ...]]()
        seeds = zip(*stack.seeds[: study.file.harvest.seeds], strict=True)
        for recipe, own in zip((stack.recipe, proposal.parent), seeds, strict=True):
            trained = [Probe(ledger.recipe(recipe), key, seed) for seed in own]
            sides.append(tuple(Probe(probe.recipe, harvest_key, probe.seed, probe.id) for probe in trained))
        child, parent = sides
        kept, discarded = (child, parent) if decision.status == "KEEP" else (parent, child)
        return _HarvestItem(decision, _ruling(decision, stack, proposal), kept, discarded)

    def _make_pairs(self, item: "_HarvestItem") -> dict[str, Any]:
        """The number of new rows of each kind, or why there are none."""
        readings = []
        for probe in item.probes:
            outcome = self.measurements.outcome(probe)
            if isinstance(outcome, Failure):
                return {"failure": f"{outcome.kind}: {outcome.message}"}
            if len(self.measurements.store.answers(probe.id)) < len(outcome.scores):
                return {"failure": f"the answers of probe {probe.id} are gone"}
            readings.append(outcome)
        found = cut_answers(readings)
        return self._store(item) | ({"cut": found.cut, "answers": found.answers} if found else {})

    def _store(self, item: "_HarvestItem") -> dict[str, Any]:
        """Add the rows to the stores, and count them; rows that were added before a kill count too. BadInput if the
        stores refuse them."""
        stores = self._stores
        try:
            with uninterrupted(), full_disk_reported(self.measurements.workspace):
                stores.reserve(self.measurements.study.material.all_prompts)
                reserved, rows_made = stores.reserved(), self._rows(item)
                # another study may have reserved some of the prompts
                clean = [row for row in rows_made if reserved.overlap(row.prompt) is None]
                rows = without_repetitions(clean, *(stores.index(kind).exact for kind in INDEPENDENT))
                stores.add(rows, reserved)
        except OSError as error:
            raise BadInput(
                f"the pairs cannot be written ({describe_file_error(error)}); correct that, and this session or the "
                "next one makes them up"
            ) from None
        counts = {kind: sum(row.kind == kind for row in rows) for kind in KINDS}
        left_out = len({row.prompt for row in rows_made}) - len({row.prompt for row in clean})
        return counts | {"reserved": left_out, "probes": [probe.id for probe in item.probes]}

    def _rows(self, item: "_HarvestItem") -> list[Row]:
        """Rows that compare the two recipes, and rows of each recipe by itself, without answers of earlier harvests."""
        study, ruling = self.measurements.study, item.ruling
        batch = BatchSettings(
            now(), item.kept[0].key.scorer, study.name, study.file.harvest.margin, session=ruling.session
        )
        better, worse = ([one for probe in side for one in self._scored(probe)] for side in (item.kept, item.discarded))
        harvested = self._harvested(ruling.session)
        fresh = [answer for answer in (*better, *worse) if answer.side.probe not in harvested]
        return [
            *dpo_rows(better, worse, ruling, batch),
            *preference_rows(fresh, batch),
            *reward_rows(fresh, batch),
        ]

    def _harvested(self, session: str) -> set[str]:
        """The probes of a session that were harvested."""
        if session not in self._harvested_probes:
            checks = self.measurements.ledger.checks(session, HARVEST)
            self._harvested_probes[session] = {probe for check in checks for probe in check.data.get("probes", ())}
        return self._harvested_probes[session]

    @cached_property
    def _stores(self) -> Stores:
        return Stores(self.measurements.workspace.runs / "rl_data")

    def _scored(self, probe: Probe) -> list[ScoredAnswer]:
        """The answers that have a score."""
        study = self.measurements.study
        prompts = {prompt.id: prompt for prompt in study.material.prompts_of(HARVEST)}
        seed = sampling_seed(study.file.probe.sampling_seed, probe.seed)
        return [
            ScoredAnswer(
                prompts[row["prompt"]],
                row["text"],
                row["score"],
                TextOrigin(
                    origin="cut" if row.get("finish_reason") == "length" else "sampled",
                    bar=study.scorer.kind,
                    probe=probe.id,
                    recipe=probe.recipe.digest,
                    sampler_seed=seed,
                    sample=row["sample"],
                    figures=row["components"],
                    critical=tuple(row["critical"]),
                ),
            )
            for row in self.measurements.store.answers(probe.id)
            if "score" in row
        ]

    def _record(self, decision: DecisionRow, kind: str, data: dict[str, Any]) -> None:
        """Record a harvest or a refusal, and log it, once. A refused harvest is tried again after the next decision."""
        if kind == HARVEST:
            self._waiting.pop(decision.id)
            self._harvested(decision.session).update(data.get("probes", ()))
        if self.measurements.ledger.has_check(decision.session, kind, decision.id):
            return
        message = data.get("failure") or ", ".join(f"{data[kind]} {kind}" for kind in KINDS if data[kind])
        if data.get("reserved"):
            message += f"; {data['reserved']} prompts left out, which are too like a probe or holdout prompt"
        if data.get("cut"):
            message = f"{message or NO_PAIRS}; {_cut_note(CutAnswers(data['cut'], data['answers']))}"
        with uninterrupted(), full_disk_reported(self.measurements.workspace):
            self.measurements.ledger.record_checks(
                CheckRow(session=decision.session, kind=kind, subject=decision.id, time=now(), data=data)
            )
        known, self._refusal = self._refusal, message if kind == REFUSED else ""
        if known and self._refusal == known:
            return
        self.measurements.log(f"HARVEST {decision.id[-3:]}: {message or NO_PAIRS}")


def _cut_note(found: CutAnswers) -> str:
    """How many answers were cut, and are therefore never chosen."""
    remedy = f"; {REMEDY}" if found.noticeable else ""
    return f"{found.cut} of {found.answers} answers were cut at max_new_tokens and are never chosen{remedy}"


def _ruling(decision: DecisionRow, stack: ConfirmationRecord, proposal: ProposalRow) -> DecidedPair:
    better, worse = stack.recipe, proposal.parent
    if decision.status != "KEEP":
        better, worse = worse, better
    return DecidedPair(
        id=decision.id,
        session=decision.session,
        status=decision.status,
        reason=decision.reason,
        kept=better,
        discarded=worse,
    )
