"""Finds the decision or stack that a person names, by its full name or by its short one in the latest session."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from agent.ledger.database.file import no_session_error
from agent.ledger.store import Ledger
from agent.ledger.tables import STACK, SessionRow
from common.errors import BadInput

STACK_NAME = "stack-"


def resolve(path: Path, asked: str) -> tuple[str, str]:
    """(session, id of a decision or "stack-2") by the ledger at ``path``; BadInput with the nearest names."""
    with Ledger(path, read_only=True) as ledger:
        latest = ledger.session()
        if latest is None:
            raise no_session_error(path)
        short = asked.zfill(3) if asked.isdecimal() else asked
        stacks = {f"{latest.id}-{name}": (latest.id, name) for name in _stacks(ledger, latest.id)}
        session = asked.rpartition(f"-{STACK_NAME}")[0]
        if session and session != latest.id:
            stacks |= {f"{session}-{name}": (session, name) for name in _stacks(ledger, session)}
        for name in (asked, f"{latest.id}-{short}"):
            if name in stacks:
                return stacks[name]
            if decision := ledger.decision(name):
                return decision.session, name
            if found := ledger.proposals("WHERE id = ?", (name,)):
                raise _undecided(name, ledger.session(found[0].session))
        full = {row.id: row.session for row in ledger.decisions()}
    own = [name.removeprefix(f"{latest.id}-") for name, session in full.items() if session == latest.id]
    own += [name for session, name in stacks.values() if session == latest.id]
    near = _nearest(short, own) or difflib.get_close_matches(asked, [*full, *stacks], n=3) or own[-3:]
    raise BadInput(
        f"there is no decision or stack {asked!r} in {path}; the nearest are {', '.join(near)}, and nightlane report "
        "lists all"
    )


def _stacks(ledger: Ledger, session: str) -> list[str]:
    return [f"{STACK_NAME}{check.subject}" for check in ledger.checks(session, STACK)]


def _undecided(name: str, session: SessionRow | None) -> BadInput:
    if session is not None and session.finished:
        return BadInput(
            f"{name} was proposed, and the session ended before anything was measured of it; ask for another"
        )
    return BadInput(f"{name} was proposed and is not decided yet; see nightlane status")


def _nearest(short: str, known: Sequence[str]) -> list[str]:
    """The nearest names: by number if a number was asked for, else by spelling."""
    if short.isdecimal():
        numbers = [name for name in known if name.isdecimal()]
        return sorted(numbers, key=lambda name: abs(int(name) - int(short)))[:3]
    return difflib.get_close_matches(short, known, n=3, cutoff=0.4)
