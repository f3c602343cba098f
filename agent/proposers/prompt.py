"""Writes the prompt of the language model: the user's instructions, the moves, aggregate figures and the budget.

It holds no file path, no prompt of the prompt set and no answer, since nothing here reads more than the situation.
"""

from typing import Any

from agent.proposers.protocol import Situation, Tried
from agent.proposers.reply import as_json
from lanes import show
from probes.endpoint.json_replies import closed_object, schema_format

HISTORY_ROWS = 60
EXPECTED_ROWS = 20
MOVES_HEADING = "# Legal moves of this turn"
SYSTEM = (
    "You propose the next experiment in a search for a better preference-tuning recipe. Reply with one JSON object and "
    'nothing else: {"move": {"knob": NAME, "value": VALUE}, "hypothesis": TEXT, "predicted_delta": NUMBER}. Choose '
    "exactly one knob and one of its values from the legal moves listed. predicted_delta is the change you expect in "
    "the target category, on a scale from 0 to 10. Your change is measured beside others, in recipes that move several "
    "knobs, and its own effect is told apart. Effects smaller than the intervals in the history are noise. A move "
    "whose interval lies below 0, or whose reason names a guard, is a dead end."
)


def briefing(situation: Situation) -> str:
    """The situation as Markdown."""
    moves = "\n".join(
        f"- {knob} (now {show(situation.space.knob(knob).read(situation.incumbent))}): {', '.join(map(show, values))}"
        for knob, values in situation.moves.items()
    )
    lanes = ", ".join(f"{lane} (share {share:g})" for lane, share in situation.space.shares.items())
    guards = ", ".join(f"{name} may lose at most {margin:g}" for name, margin in situation.guards.items()) or "none"
    incumbent = "\n".join(f"- {knob.name} = {show(knob.read(situation.incumbent))}" for knob in situation.space.knobs)
    program = situation.program.strip() or "(none)"
    notes = "".join(f"- {note}\n" for note in situation.notes)
    notes = f"# Notes of that person during this session, the latest last\n{notes}\n" if notes else ""
    return (
        f"# Instructions of the person who runs the study\n{program}\n\n"
        f"{notes}"
        f"# Aim\nRaise the target category {situation.target!r}. Guards: {guards}.\n\n"
        f"# Lanes\n{lanes}. This turn belongs to the lane {situation.lane!r}.\n\n"
        f"# Incumbent\n{incumbent}\n\n"
        f"{MOVES_HEADING}\n{moves}\n\n"
        f"# Expected effects, estimated from all readings together, best first\n{_expected(situation)}\n\n"
        f"# History\n{_history(situation)}\n\n"
        f"# Budget left\n{situation.budget_left}\n"
    )


def conversation(situation: Situation) -> list[dict[str, str]]:
    """The messages of a request."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": briefing(situation)}]


def response_format(situation: Situation) -> dict[str, Any]:
    """The reply's JSON schema, for servers with constrained decoding: one of the legal moves and nothing else.

    The moves are a part of an object, since some servers allow no alternatives at the top. Lengths and bounds are left
    out, since some servers turn a long ``maxLength`` into a grammar that they then refuse; ``read_reply`` checks them.
    """
    legal = [_move_of(knob, [as_json(value) for value in values]) for knob, values in situation.moves.items()]
    parts = {"move": {"anyOf": legal}, "hypothesis": {"type": "string"}, "predicted_delta": {"type": "number"}}
    return schema_format("proposal", parts)


def _move_of(knob: str, values: list[str | int | float]) -> dict[str, Any]:
    """The schema of a move of one knob."""
    kind = "string" if all(isinstance(value, str) for value in values) else "number"
    return closed_object({"knob": {"type": "string", "const": knob}, "value": {"type": kind, "enum": values}})


def _expected(situation: Situation) -> str:
    """A table of this turn's best moves."""
    moves = [(knob, value) for knob, values in situation.moves.items() for value in values]
    known = [(move, situation.expected[move]) for move in moves if move in situation.expected]
    if not known:
        return "(nothing yet)"
    best = sorted(known, key=lambda found: -found[1].delta)[:EXPECTED_ROWS]
    rows = [
        f"| {knob} | {show(value)} | {found.delta:+.2f} | {found.deviation:.2f} | {found.chance:.0%} | "
        f"{found.safe:.0%} |"
        for (knob, value), found in best
    ]
    headings = "| knob | value | target delta | standard deviation | chance of a gain | chance that guards hold |"
    return "\n".join([headings, "|---|---|---|---|---|---|", *rows])


def _history(situation: Situation) -> str:
    if not situation.history:
        return "(no decisions yet)"
    shown, count = situation.history[-HISTORY_ROWS:], len(situation.history)
    lines = [f"The last {len(shown)} of {count} decisions."] if len(shown) < count else []
    lines += [
        "| lane | knob | before | after | decision | reason | target delta | interval |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_row, shown)])


def _row(tried: Tried) -> str:
    figures = "no reading | no reading"
    if tried.delta is not None and tried.low is not None and tried.high is not None:
        figures = f"{tried.delta:+.2f} | {tried.low:+.2f} to {tried.high:+.2f}"
    before, after = show(tried.before), show(tried.after)
    return f"| {tried.lane} | {tried.knob} | {before} | {after} | {tried.status} | {tried.reason} | {figures} |"
