"""Decisions without a course of their own: what would have changed a retraction, a crash, an older session's row."""

from agent.ledger.tables import CheckRow, DecisionRow
from agent.policy.retraction import Kept, still_shown
from agent.policy.session_statistics import account_from
from agent.proposers.context import machines
from probes.result.comparison import comparison_from
from view.data.decision_states import terms_of
from view.data.session_record import SessionRecord


def check_of(record: SessionRecord, decision: DecisionRow) -> CheckRow | None:
    """What a retraction rests on."""
    subject = decision.proposal if decision.reason == "leave_one_out" else ""
    kind = "leave_one_out" if subject else "holdout"
    return next((check for check in record.checks if (check.kind, check.subject) == (kind, subject)), None)


def retraction(record: SessionRecord, decision: DecisionRow) -> list[str]:
    """By how much a KEEP failed its re-test."""
    check = check_of(record, decision)
    if check is None or "comparison" not in check.data:
        return []
    if decision.reason == "leave_one_out":
        return _left_out(record, decision, check)
    terms, found = terms_of(record, decision), check.data["comparison"]["differences"]
    word, _, name = decision.reason.partition(":")
    if word == "holdout_guard":
        margin, high = terms.guards[name], found[name]["high"]
        return [
            f"It would have stood had `{name}` changed by {-margin - high:.2f} points more on the holdout prompts "
            f"(the interval's high end is {high:+.2f}), or under a margin of {-high:.2f} instead of {margin:g}"
        ]
    small, effect = terms.policy.smallest_effect, found[terms.target]
    needed = effect["delta"] + small - effect["high"]
    return [
        f"It would not have been contradicted by an effect above {needed:+.2f} instead of {effect['delta']:+.2f} on "
        "the "
        f"holdout prompts, at the same noise: the interval's high end is {effect['high']:+.2f} and KEEP needs more "
        "than "
        f"{small:g}"
    ]


def _left_out(record: SessionRecord, decision: DecisionRow, check: CheckRow) -> list[str]:
    terms = terms_of(record, decision)
    kept = next(row for row in record.decisions if row.id == check.subject)
    account = account_from((kept.course or {})["account"])
    confirmed = account.confirmation[terms.target]
    one = Kept(kept.id, kept.turn, "", 0, 1, confirmed, account.confirming_seeds)
    again = comparison_from(check.data["comparison"])
    now, bound = again.differences[terms.target].delta, still_shown(one, again, terms)[1]
    total = one.pairs + len(again.seeds)
    needed = now + (terms.policy.smallest_effect - bound) * total / len(again.seeds)
    return [
        f"It would have held with an effect above {needed:+.2f} instead of {now:+.2f} in the re-test, at the same "
        "noise: "
        f"together with its confirmation ({confirmed.delta:+.2f} over {one.pairs} pairs) the bound is {bound:+.2f} and "
        f"KEEP needs more than {terms.policy.smallest_effect:g}",
        "It would have held with a confirmation of "
        f"{confirmed.delta + (needed - now) * len(again.seeds) / one.pairs:+.2f} "
        f"instead of {confirmed.delta:+.2f}",
    ]  # fmt: skip


def crashed(decision: DecisionRow) -> list[str]:
    if machines(decision.reason):
        return [
            "Nothing was measured, so no figure would have changed it: the machine failed, not the recipe. A later "
            "session may try it again"
        ]
    return [
        "Nothing was measured, so no figure would have changed it: the recipe itself failed, and is not tried again"
    ]


def by_interval(decision: DecisionRow) -> list[str]:
    """Of an older session, whose decisions rested on one interval each."""
    row, small = decision.row, decision.policy.get("smallest_effect", 0.0)
    if row.get("ci_low") is None:
        return []
    told = "This session's rule asked for the target's whole interval"
    if row["ci_low"] > small:
        found = [f"{told} above {small:g}, which it had by {row['ci_low'] - small:.2f} points"]
    else:
        found = [f"{told} above {small:g}: it lacked {small - row['ci_low']:.2f} points"]
    margins, name = decision.policy.get("guards", {}), decision.row.get("worst_guard")
    if name in margins and decision.comparison:
        low = decision.comparison["differences"][name]["low"]
        room = low + margins[name]
        had = f"had {room:.2f} points to spare" if room > 0 else f"lacked {-room:.2f} points"
        found.append(f"Guard `{name}` {had} (low end {low:+.2f}, margin {margins[name]:g})")
    return found
