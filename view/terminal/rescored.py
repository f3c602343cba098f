"""nightlane rescore as text: each confirmation as it was decided, and by both scorers."""

from agent.rescore.replay import Replayed
from agent.rescore.session import Rescored, StackReplay
from view.markdown import count, table


def rescored_text(found: Rescored) -> str:
    old, new = found.scorers
    old, new = (f"{old}, as the night scored", f"{new}, the new scorer") if old == new else (old, new)
    measured = [one for one in found.stacks if not one.is_aa_test and one.new is not None]
    kept = [one for one in measured if one.new is not None and one.new.status == "KEEP"]
    before = sum(one.decided == "KEEP" for one in measured)
    changed = [one for one in measured if one.old and one.new and one.old.status != one.new.status]
    lines = [
        f"Session {found.session}: of {count(len(measured), 'stack')} the night kept {before}, and the new scorer "
        f"keeps {len(kept)}. The two columns at the right decide by the pairs alone, each with one scorer.",
        "",
        *table(
            ("stack", "changes", "decided", f"{found.target}: {old}", f"{found.target}: {new}"),
            [
                (str(one.number), "; ".join(one.changes), _decided(one), _said(one, one.old), _said(one, one.new))
                for one in found.stacks
            ],
        ),
    ]
    lines += [f"Stack {one.number} is left out: {one.left_out}." for one in found.stacks if one.left_out]
    lines += [
        f"Stack {one.number} was measured against a recipe that the new scorer does not keep."
        for one in found.stacks
        if not one.of_kept
    ]
    if changed:
        lines.append(f"Decided differently by the new scores: stack {', '.join(str(one.number) for one in changed)}.")
    if found.not_confirmed:
        lines.append(
            f"{count(found.not_confirmed, 'change')} had a row by the model of all readings, without a confirmation; "
            "such rows are not decided again."
        )
    if found.means:
        lines += [
            "",
            *table(
                ("category", old, new),
                [(name, f"{mine:.2f}", f"{theirs:.2f}") for name, (mine, theirs) in found.means.items()],
                right=(1, 2),
            ),
        ]
    lines.append(f"{count(found.probes, 'probe')} scored again; figures: {found.folder}/rescore.json")
    if found.dollars:
        lines.append(f"Judging cost ${found.dollars:.2f}.")
    return "\n".join(lines)


def _decided(one: StackReplay) -> str:
    said = "A/A test" if one.is_aa_test else one.decided
    return f"{said} ({one.reason})" + (", retracted" if one.retracted else "")


def _said(one: StackReplay, found: Replayed | None) -> str:
    if found is None:
        return "left out"
    effect = f"{found.delta:+.2f} [{found.low:+.2f}, {found.high:+.2f}], {count(found.pairs, 'pair')}"
    return effect if one.is_aa_test and found.status != "KEEP" else f"{found.status} ({found.reason}) {effect}"
