"""The outcomes of the cases: a table by kind, one by scenario, and a line for each case with a problem.

Cases that began with equal files share one recovery; the tables say how many recoveries were played.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.faults.outcome import KINDS, Outcome
from common.wording import count

COLUMNS = ("lost", "doubled", "different", "traceback")
SHOWN = 160


@dataclass(frozen=True)
class Used:
    """Wall-clock seconds, and processor seconds of all processes that were waited for."""

    seconds: float
    processor: float


def as_data(outcomes: Sequence[Outcome], wanted: Mapping[str, int], used: Used) -> dict[str, Any]:
    """The content of faults.json. ``clean``: all wanted cases were played, without a problem. ``not_played``:
    by scenario, on a machine that is too slow for it."""
    played = [outcome for outcome in outcomes if not outcome.not_played]
    kinds = {kind: _counts([outcome for outcome in played if outcome.kind == kind]) for kind in wanted}
    return {
        "clean": all(row["cases"] >= wanted[kind] and not row["wrong"] for kind, row in kinds.items()),
        "seconds": round(used.seconds, 1),
        "processor_seconds": round(used.processor, 1),
        "wanted": dict(wanted),
        "kinds": kinds,
        "as_recorded": _as_recorded(played),
        "scenarios": {name: _counts(_of_scenario(played, name)) for name in _names(played)},
        "wrong": [asdict(outcome) for outcome in outcomes if outcome.bad],
        "not_played": _not_played(outcomes),
    }


def markdown(outcomes: Sequence[Outcome], wanted: Mapping[str, int], used: Used) -> str:
    lines = [
        f"# Faults\n\nBy `nightlane bench faults`, in {used.seconds / 60:.1f} minutes and {used.processor:,.0f} s of "
        "processor time. The last four columns count the faults after which a problem was found.\n",
        f"| kind | cases | of | faults | recoveries | {' | '.join(COLUMNS)} |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(COLUMNS),
    ]
    played = [outcome for outcome in outcomes if not outcome.not_played]
    for kind, number in wanted.items():
        lines.append(_row(KINDS[kind], [outcome for outcome in played if outcome.kind == kind], number))
    if "state" in wanted:
        lines.append(
            "\nA kill at a recorded call is not run: its case begins with the files that the command's record gives "
            "for that call. Kills that leave equal files share one recovery."
        )
    compared, equal = _as_recorded(played)
    if compared:
        lines.append(f"\n{equal} of {compared} commands that were really killed left the files that the record gives.")
    lines += [
        "",
        f"| scenario | cases | faults | recoveries | {' | '.join(COLUMNS)} |",
        "|---|---:|---:|---:|" + "---:|" * len(COLUMNS),
    ]
    lines += [_row(name, _of_scenario(played, name)) for name in _names(played)]
    if left := _not_played(outcomes):
        lines.append("\nNot played on this machine, which is no fault of the product:\n")
        lines += [f"- {name}: {count(found['cases'], 'case')}, {found['why']}" for name, found in left.items()]
    wrong = [outcome for outcome in outcomes if outcome.bad]
    if wrong:
        lines.append("\n`nightlane bench faults --kind KIND --case N` repeats one of these cases:\n")
    for outcome in wrong:
        first = next(f"{name}: {getattr(outcome, name)[0]}" for name in COLUMNS if getattr(outcome, name))
        lines.append(f"- {_title(outcome)}: {first[:SHOWN]}")
    return "\n".join(lines) + "\n"


def details(outcomes: Sequence[Outcome]) -> str:
    """All problems of single cases."""
    lines = []
    for outcome in outcomes:
        lines.append(f"{_title(outcome)}: {outcome.not_played or ('wrong' if outcome.bad else 'nothing wrong')}")
        lines += [f"{name}: {line}" for name in COLUMNS for line in getattr(outcome, name)]
    return "\n".join(lines)


def _as_recorded(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """How many kills were compared with the record, and how many left what it gives."""
    compared = [outcome.as_recorded for outcome in outcomes if outcome.as_recorded is not None]
    return len(compared), sum(compared)


def _not_played(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """By scenario: the number of cases that were not played, and why."""
    found: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        if outcome.not_played:
            own = found.setdefault(outcome.scenario, {"cases": 0, "why": outcome.not_played})
            own["cases"] += 1
    return found


def _title(outcome: Outcome) -> str:
    return f"{outcome.kind} {outcome.number}, {outcome.scenario}, at {outcome.where}"


def _of_scenario(outcomes: Sequence[Outcome], name: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.scenario == name]


def _row(name: str, outcomes: Sequence[Outcome], wanted: int | None = None) -> str:
    counts = _counts(outcomes)
    of = "" if wanted is None else f" {wanted} |"
    return (
        f"| {name} | {len(outcomes)} |{of} {counts['faults']} | {counts['recoveries']} | "
        + " | ".join(str(counts[column]) for column in COLUMNS)
        + " |"
    )


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """The counts of each column; a case counts at most as often in a column as it had faults."""
    counts = {
        column: sum(min(len(getattr(outcome, column)), max(outcome.faults, 1)) for outcome in outcomes)
        for column in COLUMNS
    }
    faults, wrong = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("faults", "bad"))
    recoveries = sum(not outcome.shared for outcome in outcomes)
    return {"cases": len(outcomes), "faults": faults, "recoveries": recoveries, "wrong": wrong, **counts}


def _names(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(outcome.scenario for outcome in outcomes))
