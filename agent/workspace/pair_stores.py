"""``nightlane pairs``: what a person does with the stores of a workspace. Clock and login name come in here."""

import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.workspace.folder import Workspace
from common.clock import now
from common.errors import BadInput
from preferences.store.annotations import (
    ENOUGH_REVIEWS,
    REVIEW_ANSWERS,
    AnnotatedRow,
    Review,
    ReviewAnswer,
    Vote,
    is_judged,
    parse_vote_choice,
    set_digest,
    usable_rows,
    without_copies,
)
from preferences.store.rows import KINDS, Kind, kind_of
from preferences.store.stores import Stores
from probes.inputs.prompts import Prompt, load_prompts

if TYPE_CHECKING:
    from preferences.collection.imports import Defaults
    from preferences.store.audit import Audit
    from probes.inputs.rows import BadRow

VOTES = "votes"
STATES = ("live", "withdrawn", "all")
QUIT: Literal["quit"] = "quit"
Answer = ReviewAnswer | Literal["quit"]
Show = Callable[[AnnotatedRow, int, int], None]
Ask = Callable[[], str | None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Imported:
    """What became of a file: how many of its rows or votes were new, how many there already, and which were bad."""

    file: Path
    kind: str
    new: int
    known: int
    bad: "tuple[BadRow, ...]"
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Reviewed:
    """What a review came to. ``judged``: rows of the set that somebody judged by now, of ``needed``."""

    kind: Kind
    store: str
    verdicts: tuple[Review, ...]
    judged: int
    needed: int
    looked_at: bool


def open_stores(workspace: Workspace, study: Path | None = None) -> Stores:
    """The stores of a workspace; a study's probe and holdout prompts, if one is given, are remembered there."""
    stores = Stores(workspace.runs / "rl_data")
    if study is not None:
        workspace.prepare()
        stores.reserve(_prompts(study))
    return stores


def kinds_of(kind: str | None) -> tuple[Kind, ...]:
    """The one that is named, or all."""
    return (kind_of(kind),) if kind else KINDS


def vote(stores: Stores, row_id: str, choice: str, by: str | None) -> AnnotatedRow:
    """One vote on a row, and how the row stands after it."""
    row = stores.find(row_id)
    stores.vote([Vote(row.id, parse_vote_choice(choice), who(by), now())])
    return stores.find(row.id)


def listed(stores: Stores, kinds: Sequence[Kind], state: str) -> Mapping[Kind, Sequence[AnnotatedRow]]:
    """The rows of some stores that are live, withdrawn, or all."""
    if state not in STATES:
        raise BadInput(f"--state {state!r} is not known; use one of {', '.join(STATES)}")
    found = stores.read_all(*kinds)
    return {kind: [one for one in rows if state in ("all", one.state)] for kind, rows in found.items()}


def import_file(
    stores: Stores, path: Path, kind: str, defaults: "Defaults", by: str | None, skip_bad: bool, say: Say
) -> Imported:
    """Take the rows or votes of a file: all, or with ``skip_bad`` the good ones. ``say`` is told of each bad one."""
    from preferences.collection.imports import read_rows, read_votes
    from probes.inputs.files import unit_of
    from probes.inputs.where import located

    where = located(Path(), str(path))
    if kind == VOTES:
        rows = {one.id: one for own in stores.read_all().values() for one in own}
        found = read_votes(where, rows, who(by), now())
    else:
        store = kind_of(kind)
        there = stores.rows(store)
        found = read_rows(where, store, defaults, now(), stores.reserved(), there[0].plain if there else None)
    unit = unit_of(where)
    for row in found.bad:
        say(f"{path}, {unit} {row.line}: {row.why}")
    if found.bad and not skip_bad:
        raise BadInput(
            f"{len(found.bad)} of {len(found.bad) + len(found.rows) + len(found.votes)} rows of {path} are bad, first "
            f"{unit} {found.bad[0].line}, and nothing was taken; mend them, or leave them out with --skip-bad"
        )
    good = len(found.rows) + len(found.votes)
    new = stores.vote(found.votes) if kind == VOTES else len(stores.add(found.rows).new)
    return Imported(path, kind, new, good - new, found.bad, found.ignored)


def audits(stores: Stores, kinds: Sequence[Kind]) -> "list[Audit]":
    """The audits of the stores that hold rows."""
    from preferences.store.audit import audit

    held = {kind: rows for kind, rows in stores.read_all(*kinds).items() if rows}
    reserved = stores.reserved() if held else None
    return [audit(kind, rows, reserved) for kind, rows in held.items() if reserved]


def review(stores: Stores, kind: str | None, rows: int, by: str | None, show: Show, ask: Ask) -> Reviewed:
    """Show rows one by one and record what the reviewer says of each, as it is said.

    ``ask`` gives an answer, None where there are no more; an answer that is none of good, bad, skip and quit, nor the
    beginning of one, is asked again.
    """
    from preferences.store.review_queue import select_for_review

    chosen = kind_of(kind) if kind else _unseen(stores)
    found = stores.read(chosen)
    picked, store, name = select_for_review(found, rows), set_digest(found), who(by)
    if not picked:
        raise BadInput(f"{stores.path(chosen)} has no row to review; see nightlane pairs list --kind {chosen}")
    verdicts: list[Review] = []
    for place, row in enumerate(picked, start=1):
        show(row, place, len(picked))
        answer = _answer(ask)
        if answer == QUIT:
            break
        verdicts.append(Review(row.id, answer, name, now(), store))
        stores.review(verdicts[-1])
    after = stores.read(chosen)
    needed = min(ENOUGH_REVIEWS, len(usable_rows(after)))
    seen = sum(is_judged(one, set_digest(after)) for one in without_copies(after))
    return Reviewed(chosen, store, tuple(verdicts), seen, needed, stores.reviewed(chosen))


def _answer(ask: Ask) -> Answer:
    while (text := ask()) is not None:
        word = text.strip().lower()
        found: Sequence[Answer] = [one for one in (*REVIEW_ANSWERS, QUIT) if word and one.startswith(word)]
        if found:
            return found[0]
    return QUIT


def _unseen(stores: Stores) -> Kind:
    """The first store with rows that nobody has looked at, or else with rows."""
    order: tuple[Kind, ...] = ("dpo", "orpo", "preference", "reward")
    held = [kind for kind in order if any(one.used for one in stores.read(kind))]
    return next((kind for kind in held if not stores.reviewed(kind)), held[0] if held else order[0])


def _prompts(study: Path) -> Sequence[Prompt]:
    """Of a study file, or of a file of prompts."""
    if study.suffix != ".toml":
        return load_prompts(study)
    from agent.study.load import load_study

    return load_study(study).material.all_prompts


def who(by: str | None) -> str:
    """The name that was given, or who is at the terminal."""
    if by is not None:
        if by.strip():
            return by.strip()
        raise BadInput("--by is somebody's name and is empty; give one, or leave it out to be called by your login")
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise BadInput("this user has no name here; say who you are with --by NAME") from None
