"""The result of ``nightlane pairs score``, and its dry run, for a terminal and as JSON values."""

from dataclasses import asdict
from statistics import fmean
from typing import Any

from preferences.scoring.plan import JudgingCost, ScoringPlan
from preferences.scoring.score_store import StoreScoring
from view.markdown import count, plain

SHOWN = 5


def plan_data(plan: ScoringPlan, cost: JudgingCost | None) -> dict[str, Any]:
    return {
        "kind": plan.kind,
        "scorer": plan.scorer,
        "rows": len(plan.rows),
        "answers": len(plan.answers),
        "left_out": dict(plan.left_out),
        "other_categories": dict(plan.other_categories),
        "judge": asdict(cost) if cost else None,
    }


def plan_text(plan: ScoringPlan, cost: JudgingCost | None) -> str:
    """What would be scored, what would not and why, and the cost. Nothing was done."""
    lines = [f"{plan.kind}: {count(len(plan.rows), 'row')} would be scored, {count(len(plan.answers), 'answer')}"]
    return "\n".join([*lines, *_notes(plan), *_cost(cost), "nothing was scored: --dry-run"])


def _notes(plan: ScoringPlan) -> list[str]:
    lines = [f"left out: {count(number, 'row')}, {reason}" for reason, number in plan.left_out.items()]
    return lines + [
        f"{count(number, 'row')} of the category {plain(name, 40)}, which the study does not have: scoring rules for "
        "single categories do not apply; --category NAME scores them under one of the study's categories"
        for name, number in plan.other_categories.items()
    ]


def _cost(cost: JudgingCost | None) -> list[str]:
    if cost is None:
        return ["cost: none, no judge is asked"]
    asked = f"judge: {plain(cost.model)}, {count(cost.judgements, 'judgement')} at most; cached ones are free"
    if cost.dollars is None:
        return [f"{asked}; not priced (dollars_per_million_input and _output under [scorer])"]
    return [f"{asked}; at most ${cost.dollars:.2f}, often a quarter of that (counted with one token for each byte)"]


def scoring_data(done: StoreScoring) -> dict[str, Any]:
    return {
        **plan_data(done.plan, None),
        "scored": [{"row": row.id, "scores": list(row.scores), "margin": row.margin} for row in done.scored],
        "missing": dict(done.missing),
        "reversed": list(done.reversed),
        "judge": asdict(done.spent),
    }


def scoring_text(done: StoreScoring) -> str:
    """How many rows have scores now, the means, the rows to look at, and what to do next."""
    plan, scored = done.plan, done.scored
    lines = [f"{plan.kind}: {len(scored)} of {count(len(plan.rows), 'row')} scored, by scorer {plan.scorer[:12]}"]
    pairs = [(row.scores[0], row.scores[1]) for row in scored]
    if pairs:
        chosen, rejected = (fmean(pair[side] or 0.0 for pair in pairs) for side in (0, 1))
        lines.append(f"mean score: chosen {chosen:.2f}, rejected {rejected:.2f}")
    lines += [f"without a score: {count(number, 'row')}, {plain(why, 120)}" for why, number in done.missing.items()]
    if done.reversed:
        shown = ", ".join(done.reversed[:SHOWN]) + (" ..." if len(done.reversed) > SHOWN else "")
        lines.append(
            f"{count(len(done.reversed), 'row')} whose rejected side scores as much or more: {shown}; look at them "
            "with nightlane pairs show ID, then nightlane pairs vote ID flip, or drop"
        )
    spent = done.spent
    if spent.calls or spent.cache_hits:
        lines.append(f"judge: {count(spent.calls, 'call')}, {spent.cache_hits} from the cache, ${spent.dollars:.2f}")
    lines += _notes(plan)
    if scored:
        lines.append(f"next: nightlane pairs certify --kind {plan.kind}, with --text --study FILE or --contracts FILE")
    return "\n".join(lines)
