"""From a session's decisions to their figures; what was searched, and who proposed it."""

from collections import Counter

from agent.ledger.tables import DecisionRow
from probes.result.comparison import OVERALL
from view.data.changes import change_of, guards_of, own_effect_of
from view.data.figures import Crash, DecisionFigures, KnobSearch, LaneSearch, ProposerCount
from view.data.session_record import SessionRecord


def decision_figures(record: SessionRecord, decision: DecisionRow) -> DecisionFigures:
    proposal, comparison, basis = record.proposals[decision.id], decision.comparison, decision.basis
    differences = comparison.differences if comparison else {}
    stack, margins = basis.stack if basis else None, record.study.guards
    target, retraction = differences.get(record.study.target), record.retractions.get(decision.id)
    return DecisionFigures(
        id=decision.id,
        turn=decision.turn,
        time=decision.time,
        status=decision.status,
        reason=decision.reason,
        lane=proposal.lane,
        knob=proposal.knob,
        before=proposal.before,
        after=proposal.after,
        hypothesis=proposal.hypothesis,
        proposer=proposal.proposer,
        predicted=proposal.predicted,
        own=own_effect_of(basis.own if basis else None, margins),
        stack=stack.number if stack else None,
        baseline=target.baseline if target else None,
        candidate=target.candidate if target else None,
        target=change_of(target),
        overall=change_of(differences.get(OVERALL)),
        guards=guards_of(differences, margins, stack.looks[-1] if stack and stack.looks else None),
        critical_candidate=comparison.critical_candidate if comparison else None,
        critical_incumbent=comparison.critical_baseline if comparison else None,
        crash=crash_of(record, decision) if decision.status == "CRASH" else None,
        pairs=len(comparison.seeds) if comparison else 0,
        retracted=retraction.reason if retraction else None,
    )


def crash_of(record: SessionRecord, decision: DecisionRow) -> Crash:
    """The failure of the stack's recipe; for a change that was not confirmed, that of the recipes that carried it."""
    kind = decision.reason.partition(":")[2]
    stack = decision.basis.stack if decision.basis else None
    alone = record.proposals[decision.id].child
    recipes = (stack.recipe,) if stack else record.carriers.get(decision.id, (alone,))
    failures = [failure for recipe in recipes for failure in record.failures(recipe)]
    same = [failure for failure in failures if failure.kind == kind] or failures
    if not same:
        return Crash(kind, "the probe's directory and its message are gone", ())
    return Crash(kind, same[0].message, tuple(sorted({failure.seed for failure in failures})))


def searched(record: SessionRecord) -> tuple[LaneSearch, ...]:
    """For each lane and knob: how many moves were decided on, and how many were legal from the incumbents."""
    space, made = record.study.lanes, [record.proposals[decision.id] for decision in record.decisions_on_changes]
    total = sum(space.shares.values())
    found = []
    for lane, share in space.shares.items():
        knobs = []
        for knob in (knob for knob in space.knobs if knob.lane == lane):
            legal = {
                knob.write(recipe, value).digest
                for recipe in record.recipes.values()
                for value in space.moves(recipe, lane).get(knob.name, ())
            }
            tried = len({proposal.child for proposal in made if proposal.knob == knob.name})
            knobs.append(KnobSearch(knob.name, tried, len(legal - {record.session.start})))
        mine = sum(proposal.lane == lane for proposal in made)
        found.append(LaneSearch(lane, share / total, mine / len(made) if made else None, tuple(knobs)))
    return tuple(found)


def proposer_counts(record: SessionRecord) -> tuple[ProposerCount, ...]:
    """Decisions by proposer, the busiest first."""
    made = [(record.proposals[decision.id].proposer, decision.status) for decision in record.decisions_on_changes]
    pairs, names = Counter(made), Counter(name for name, _ in made)
    return tuple(
        ProposerCount(
            proposer=name,
            proposed=number,
            kept=pairs[name, "KEEP"],
            discarded=pairs[name, "DISCARD"],
            crashed=pairs[name, "CRASH"],
        )
        for name, number in names.most_common()
    )
