"""An audit of the preference stores, as Markdown for people and as JSON values. Tables fit 100 columns."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from preferences.store.audit import CONFIDENCE, Audit, LengthBias, Quartiles
from preferences.store.rows import SIDES
from view.report.markdown import code, count, table, text

MOST_NAMED = 10
LONGEST = 24

WARNED = {
    "bars": "the two sides of a pair were held to different quality bars: {bars}",
    "origins": "sides come from different places, and a model may learn to tell these apart: {origins}",
    "length": "length decides: the longer side was chosen in {length}",
    "synthetic": "more than half of the rejected sides are mechanically made, and no model fails that way",
    "margins": "the chosen side scores lower in {margins}",
    "duplicates": "what is said twice counts twice in training: {duplicates}",
    "contradictions": "{contradictions} preferring what another pair rejects; flip or drop one of the two",
    "unseen": "nobody has looked at this set; see nightlane pairs review",
}


def audit_data(audits: Sequence[Audit]) -> list[dict[str, Any]]:
    """The figures as plain JSON values."""
    return [
        asdict(one) | {"warnings": list(one.warnings), "length_share": one.length.share if one.length else None}
        for one in audits
    ]


def audit_markdown(audits: Sequence[Audit], where: str) -> str:
    """Of each store that has rows: what it holds, then warnings, then the figures."""
    held = [one for one in audits if one.rows]
    if not held:
        return f"{text(where)} holds no rows yet; see nightlane pairs import --help"
    rows = [
        (
            one.kind,
            str(one.rows),
            str(sum(one.withdrawn.values())),
            str(one.dropped),
            str(one.used),
            str(one.used - one.exported),
            "yes" if one.reviewed else "no",
        )
        for one in held
    ]
    headings = ("store", "rows", "withdrawn", "dropped", "in use", "voted down", "looked at")
    sections = [[f"# Preference stores in {text(where)}", "", *table(headings, rows, right=range(1, 6))]]
    for one in held:
        sections.append([f"## {one.kind}"])
        sections += audit_sections(one)
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def audit_sections(one: Audit) -> list[list[str]]:
    """Paragraphs on one store."""
    if not one.used:
        return [["No row is in use."], _withdrawn(one)]
    return [
        [f"- **Warning:** {WARNED[name].format_map(_warning_texts(one))}." for name in one.warnings],
        _contamination(one),
        _shares("category", one.categories, one.used),
        _shares("source", one.sources, one.used),
        _scores(one),
        _sides(one),
        _duplicates(one),
        _withdrawn(one),
    ]


def _warning_texts(one: Audit) -> Mapping[str, str]:
    bars = "; ".join(
        f"{m.rows} with {_bar(m.chosen)} against {_bar(m.rejected)}" for m in one.mismatches if m.bars_differ
    )
    origins = "; ".join(
        f"{m.rows} {m.chosen[0]} against {m.rejected[0]}" for m in one.mismatches if m.chosen[0] != m.rejected[0]
    )
    return {
        "bars": bars,
        "origins": origins,
        "length": _share(one.length) if one.length else "",
        "margins": count(one.reversed_margins, "pair"),
        "contradictions": count(one.contradictions, "pair"),
        "duplicates": count(sum(repeat.same for repeat in one.duplicates), "row"),
    }


def _bar(side: tuple[str, str]) -> str:
    return code(side[1]) if side[1] else "none"


def _share(bias: LengthBias) -> str:
    interval = (
        "" if bias.low is None or bias.high is None else f", {bias.low:.2f} to {bias.high:.2f} at {CONFIDENCE:.0%}"
    )
    return f"{bias.longer} of {bias.pairs} pairs of unequal length ({bias.share or 0:.2f}{interval})"


def _contamination(one: Audit) -> list[str]:
    """What is refused comes first, and is no warning."""
    if not one.contaminated:
        return [f"None of the {count(one.used, 'row')} in use asks a probe or holdout prompt."]
    lines = [
        f"  - {code(hit.row)}: the {hit.split} prompt {code(hit.prompt)}, {hit.similarity:.2f} similar"
        for hit in one.contaminated
    ]
    return [
        f"- **Refused:** {count(len(lines), 'row')} in use that a probe or holdout prompt is in, exactly or nearly:",
        *_most(lines),
    ]


def _shares(what: str, counts: Mapping[str, int], of: int) -> list[str]:
    rows = [(text(name, LONGEST), str(number), f"{number / of:.1%}") for name, number in counts.items()]
    shown, rest = rows[:MOST_NAMED], sum(list(counts.values())[MOST_NAMED:])
    if rest:
        shown.append((f"{len(rows) - MOST_NAMED} more", str(rest), f"{rest / of:.1%}"))
    return table((what, "rows", "share"), shown, right=(1, 2))


def _scores(one: Audit) -> list[str]:
    named = {"score" if len(SIDES[one.kind]) == 1 else "score of the chosen side": one.scores, "margin": one.margins}
    rows = [(name, *_cells(found)) for name, found in named.items() if found]
    headings = ("figure", "rows", "least", "quarter", "median", "three quarters", "most")
    return table(headings, rows, right=range(1, 7)) if rows else ["No row has a score."]


def _cells(found: Quartiles) -> tuple[str, ...]:
    numbers = (found.least, found.first, found.median, found.third, found.most)
    return str(found.n), *(f"{number:.2f}" for number in numbers)


def _sides(one: Audit) -> list[str]:
    if one.length is None:
        return []
    bias, rows = one.length, one.used
    lines = [
        f"- Length: the longer side was chosen in {_share(bias)}, {bias.equal} are of equal length."
        if bias.pairs
        else "- Length: the sides of every pair are equally long."
    ]
    if bias.correlation is not None:
        lines.append(
            f"- Rank correlation of the difference in length and the margin: {bias.correlation:+.2f} over "
            f"{count(bias.scored, 'pair')}."
        )
    lines.append(f"- Both sides from the same pipeline (origin and bar): {one.same_pipeline} of {count(rows, 'pair')}.")
    lines.append(f"- Mechanically made rejected sides: {one.synthetic} of {rows} ({one.synthetic / rows:.0%}).")
    if one.mismatches:
        cells = [
            (
                m.chosen[0],
                text(m.chosen[1] or "none", LONGEST),
                m.rejected[0],
                text(m.rejected[1] or "none", LONGEST),
                str(m.rows),
            )
            for m in one.mismatches[:MOST_NAMED]
        ]
        lines += ["", *table(("chosen", "its bar", "rejected", "its bar", "rows"), cells, right=(4,))]
    return lines


def _duplicates(one: Audit) -> list[str]:
    same = sum(repeat.same for repeat in one.duplicates)
    told = f"{count(one.used, 'row')} on {count(one.distinct_prompts, 'prompt')}"
    if not one.duplicates:
        return [f"- Duplicates: none among {told}."]
    lines = [
        f"  - {code(repeat.row)} and {code(repeat.other)}: {'the same' if repeat.same else f'{repeat.similarity:.2f}'}"
        for repeat in one.duplicates
    ]
    return [
        f"- Duplicates: {same} the same, {len(lines) - same} nearly the same, among {told}:",
        *_most(lines),
    ]


def _withdrawn(one: Audit) -> list[str]:
    lines = [f"  - {number}: {text(reason, 80)}" for reason, number in one.withdrawn.items()]
    return [f"- Withdrawn: {count(sum(one.withdrawn.values()), 'row')}:", *_most(lines)] if lines else []


def _most(lines: list[str]) -> list[str]:
    return [*lines[:MOST_NAMED], *([f"  - and {len(lines) - MOST_NAMED} more"] if len(lines) > MOST_NAMED else [])]
