"""What the cases came to: a table by kind, one by what was run, and every case that came out wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.faults.cases import KINDS, Outcome

COLUMNS = ("lost", "doubled", "different", "traceback")
SHOWN = 160


def as_data(outcomes: Sequence[Outcome], wanted: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """``clean``: all that was wanted was played and nothing came out wrong."""
    kinds = {kind: _counts([one for one in outcomes if one.kind == kind]) for kind in wanted}
    return {
        "clean": all(row["cases"] >= wanted[kind] and not row["wrong"] for kind, row in kinds.items()),
        "seconds": round(seconds, 1),
        "wanted": dict(wanted),
        "kinds": kinds,
        "scenarios": {name: _counts([o for o in outcomes if o.scenario == name]) for name in _names(outcomes)},
        "wrong": [asdict(one) for one in outcomes if one.bad],
    }


def markdown(outcomes: Sequence[Outcome], wanted: Mapping[str, int], seconds: float) -> str:
    lines = [
        f"# Faults\n\nBy `nightlane bench faults`, in {seconds / 60:.1f} minutes: faults after which "
        "something was found.\n",
        f"| kind | cases | of | faults | {' | '.join(COLUMNS)} |",
        "|---|---:|---:|---:|" + "---:|" * len(COLUMNS),
    ]
    for kind, number in wanted.items():
        lines.append(_row(KINDS[kind], [one for one in outcomes if one.kind == kind], number))
    lines += [
        "",
        f"| what was run | cases | faults | {' | '.join(COLUMNS)} |",
        "|---|---:|---:|" + "---:|" * len(COLUMNS),
    ]
    lines += [_row(name, [one for one in outcomes if one.scenario == name]) for name in _names(outcomes)]
    wrong = [one for one in outcomes if one.bad]
    if wrong:
        lines.append("\nEach of these is played again by `nightlane bench faults --kind KIND --case N`:\n")
    for one in wrong:
        first = next(f"{name}: {getattr(one, name)[0]}" for name in COLUMNS if getattr(one, name))
        lines.append(f"- {one.kind} {one.number}, {one.scenario}, at {one.where}: {first[:SHOWN]}")
    return "\n".join(lines) + "\n"


def details(outcomes: Sequence[Outcome]) -> str:
    """All that is known of single cases."""
    lines = []
    for one in outcomes:
        lines.append(
            f"{one.kind} {one.number}, {one.scenario}, at {one.where}: {'wrong' if one.bad else 'nothing wrong'}"
        )
        lines += [f"{name}: {line}" for name in COLUMNS for line in getattr(one, name)]
    return "\n".join(lines)


def _row(name: str, outcomes: Sequence[Outcome], wanted: int | None = None) -> str:
    counts = _counts(outcomes)
    of = "" if wanted is None else f" {wanted} |"
    return (
        f"| {name} | {len(outcomes)} |{of} {counts['faults']} | "
        + " | ".join(str(counts[column]) for column in COLUMNS)
        + " |"
    )


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    counts = {column: sum(min(len(getattr(one, column)), max(one.faults, 1)) for one in outcomes) for column in COLUMNS}
    faults = sum(one.faults for one in outcomes)
    return {"cases": len(outcomes), "faults": faults, "wrong": sum(one.bad for one in outcomes), **counts}


def _names(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(one.scenario for one in outcomes))
