"""``nightlane pairs``: the actions of a person on the stores of a workspace. Reads the clock and the login name."""

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
from preferences.store.rows import KINDS, SIDES, StoreKind, kind_of
from preferences.store.stores import Stores
from probes.inputs.prompts import Prompt, load_prompts

if TYPE_CHECKING:
    from preferences.collection.import_rows import Defaults
    from preferences.store.audit import Audit
    from probes.inputs.rows.texts import BadRow

VOTES = "votes"
STATES = ("live", "withdrawn", "all")
QUIT: Literal["quit"] = "quit"
ReviewInput = ReviewAnswer | Literal["quit"]
Show = Callable[[AnnotatedRow, int, int], None]
AskReviewer = Callable[[], str | None]
Note = Callable[[str], None]


@dataclass(frozen=True)
class Imported:
    """The result of an import: how many rows or votes are ``new`` or were ``known`` before, and the bad rows."""

    file: Path
    kind: str
    new: int
    known: int
    bad: "tuple[BadRow, ...]"
    ignored: tuple[str, ...]
    prompts_removed: int = 0


@dataclass(frozen=True)
class Reviewed:
    """The result of a review. ``judged``: how many rows of the store have been judged by anybody, of the ``needed``
    ones; ``looked_at``: whether the store counts as reviewed."""

    kind: StoreKind
    store: str
    verdicts: tuple[Review, ...]
    judged: int
    needed: int
    looked_at: bool


def open_stores(workspace: Workspace, study: Path | None = None) -> Stores:
    """The stores of a workspace. The probe and holdout prompts of a study, if one is given, are reserved in them."""
    stores = Stores(workspace.runs / "rl_data")
    if study is not None:
        workspace.prepare()
        stores.reserve(_prompts(study))
    return stores


def store_of_pairs(kind: str) -> StoreKind:
    """The store of this name; BadInput unless it holds pairs (single answers all have a score)."""
    store = kind_of(kind)
    if len(SIDES[store]) < 2:
        raise BadInput(f"--kind {kind}: its rows all have a score; use a store of pairs, such as preference")
    return store


def kinds_of(kind: str | None) -> tuple[StoreKind, ...]:
    """The kind of this name, or all kinds."""
    return (kind_of(kind),) if kind else KINDS


def vote(stores: Stores, row_id: str, choice: str, by: str | None) -> AnnotatedRow:
    """Vote on a row; returns the row after the vote."""
    row = stores.find(row_id)
    stores.vote([Vote(row.id, parse_vote_choice(choice), name_or_login(by), now())])
    return stores.find(row.id)


def listed(stores: Stores, kinds: Sequence[StoreKind], state: str) -> Mapping[StoreKind, Sequence[AnnotatedRow]]:
    """The rows of these stores in a state: live, withdrawn, or all."""
    if state not in STATES:
        raise BadInput(f"--state {state!r} is not known; use one of {', '.join(STATES)}")
    stored = stores.read_all(*kinds)
    return {kind: [row for row in rows if state in ("all", row.state)] for kind, rows in stored.items()}


def import_file(
    stores: Stores,
    path: Path,
    kind: str,
    defaults: "Defaults",
    *,
    by: str | None,
    skip_bad: bool,
    prompt_in_answers: str | None,
    note: Note,
) -> Imported:
    """Import the rows or votes of a file: all, or with ``skip_bad`` the good ones. ``note`` gets a line for each bad
    row.

    ``prompt_in_answers``: whether plain answers lose the prompt that they begin with, "remove" or "keep".
    """
    from preferences.collection.import_rows import read_rows, read_votes
    from probes.inputs.files.location import located
    from probes.inputs.files.records import unit_of
    from probes.inputs.rows.repeated_prompts import setting_of

    where = located(Path(), str(path))
    if kind == VOTES:
        rows = {row.id: row for stored in stores.read_all().values() for row in stored}
        found = read_votes(where, rows, name_or_login(by), now())
    else:
        store = kind_of(kind)
        stored_rows = stores.rows(store)
        plain = stored_rows[0].plain if stored_rows else None
        found = read_rows(
            where,
            store,
            defaults,
            now(),
            reserved=stores.reserved(),
            plain=plain,
            prompt_in_answers=setting_of(prompt_in_answers),
        )
    unit = unit_of(where)
    for row in found.bad:
        note(f"{path}, {unit} {row.line}: {row.why}")
    if found.bad and not skip_bad:
        raise BadInput(
            f"{len(found.bad)} of {len(found.bad) + len(found.rows) + len(found.votes)} rows of {path} are bad, first "
            f"{unit} {found.bad[0].line}, and nothing was imported; correct them, or leave them out with --skip-bad"
        )
    good = len(found.rows) + len(found.votes)
    new = stores.vote(found.votes) if kind == VOTES else len(stores.add(found.rows).new)
    return Imported(path, kind, new, good - new, found.bad, found.ignored, found.prompts_removed)


def audits(stores: Stores, kinds: Sequence[StoreKind]) -> "list[Audit]":
    """The audits of the stores that hold rows."""
    from preferences.store.audit import audit

    held = {kind: rows for kind, rows in stores.read_all(*kinds).items() if rows}
    reserved = stores.reserved() if held else None
    return [audit(kind, rows, reserved) for kind, rows in held.items() if reserved]


def review(stores: Stores, kind: str | None, rows: int, by: str | None, show: Show, ask: AskReviewer) -> Reviewed:
    """Show rows one by one, and record the reviewer's verdict on each at once.

    ``ask`` returns an answer, or None at the end of the input. It is called again if the answer is neither good,
    bad, skip or quit nor the beginning of one of these.
    """
    from preferences.store.review_queue import select_for_review

    chosen = kind_of(kind) if kind else _first_unreviewed(stores)
    stored = stores.read(chosen)
    selected, store, name = select_for_review(stored, rows), set_digest(stored), name_or_login(by)
    if not selected:
        raise BadInput(f"{stores.path(chosen)} has no row to review; see nightlane pairs list --kind {chosen}")
    verdicts: list[Review] = []
    for place, row in enumerate(selected, start=1):
        show(row, place, len(selected))
        answer = _answer(ask)
        if answer == QUIT:
            break
        verdicts.append(Review(row.id, answer, name, now(), store))
        stores.review(verdicts[-1])
    after = stores.read(chosen)
    needed = min(ENOUGH_REVIEWS, len(usable_rows(after)))
    judged = sum(is_judged(row, set_digest(after)) for row in without_copies(after))
    return Reviewed(chosen, store, tuple(verdicts), judged, needed, stores.reviewed(chosen))


def _answer(ask: AskReviewer) -> ReviewInput:
    while (text := ask()) is not None:
        word = text.strip().lower()
        answers: Sequence[ReviewInput] = [
            answer for answer in (*REVIEW_ANSWERS, QUIT) if word and answer.startswith(word)
        ]
        if answers:
            return answers[0]
    return QUIT


def _first_unreviewed(stores: Stores) -> StoreKind:
    """The first store with rows that nobody has reviewed, or else the first with rows."""
    order: tuple[StoreKind, ...] = ("dpo", "orpo", "preference", "reward")
    filled = [kind for kind in order if any(row.used for row in stores.read(kind))]
    return next((kind for kind in filled if not stores.reviewed(kind)), filled[0] if filled else order[0])


def _prompts(study: Path) -> Sequence[Prompt]:
    """The prompts of a study.toml, or of a file of prompts."""
    if study.suffix != ".toml":
        return load_prompts(study)
    from agent.study.load import load_study

    return load_study(study).material.all_prompts


def name_or_login(by: str | None) -> str:
    """The name that was given, or the login name."""
    if by is not None:
        if by.strip():
            return by.strip()
        raise BadInput("--by is empty; give a name, or leave it out to use your login name")
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise BadInput("this user has no login name; give a name with --by NAME") from None
