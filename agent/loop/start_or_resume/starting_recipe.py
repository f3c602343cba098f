"""The recipe that a session starts from: the incumbent of the same study, or the study's own.

If a study gets more data, or the software another version, new readings cannot be compared with earlier ones, so the
search begins anew. The incumbent from before may still be a better start than the study's own recipe: it is offered,
and taken if the person asks for it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from agent.ledger.store import Ledger
from agent.ledger.tables import CARRIED, CheckRow, SessionRow, last_incumbent
from agent.loop.nodes import BASELINE_FAILED
from agent.study.changes import added_sources
from agent.study.load import Study, recorded_study
from common.clock import now
from common.errors import BadInput
from lanes import Recipe, show
from probes.result.reading import ProbeKey
from probes.run.store import ProbeStore

StartFrom = Literal["usual", "study", "before"]
""""usual": the incumbent of the same study and data, else the study's recipe. "study": the study's recipe. "before":
the incumbent of the same study and data, else the one from before the data or the software changed."""
MAY_DIFFER = {"data", "samples", "environment"}
"""Parts of the probe key that may differ from an earlier session's. The noise floor chooses the number of answers."""


@dataclass(frozen=True)
class Before:
    """The incumbent at the end of an earlier ``session`` of the study; ``change``: what changed since, in words."""

    session: str
    recipe: Recipe
    change: str


@dataclass(frozen=True)
class StartingRecipe:
    """``before``: where the recipe comes from, if readings of that session can no longer be compared."""

    recipe: Recipe
    before: Before | None = None

    def check(self, session_id: str) -> CheckRow | None:
        """The row that says where a carried recipe comes from, so that the next session of the same data starts from
        it, too; None if none was carried."""
        if self.before is None:
            return None
        data = {"session": self.before.session, "recipe": self.recipe.digest}
        return CheckRow(session=session_id, kind=CARRIED, subject="", time=now(), data=data)


def starting_recipe(
    ledger: Ledger, store: ProbeStore, study: Study, key: ProbeKey, start_from: StartFrom, note: Callable[[str], None]
) -> StartingRecipe:
    """The recipe that a session starts from. BadInput if the incumbent from before is asked for and there is none."""
    if start_from == "study":
        return StartingRecipe(study.start)
    if standing := _standing(ledger, study, key.digest):
        if standing != study.start.digest:
            note(f"starting from recipe {standing}, kept by an earlier session (--fresh starts from the study's own)")
        return StartingRecipe(ledger.recipe(standing))
    before = _before(ledger, store, study, key)
    if start_from == "before":
        if before is None:
            raise BadInput(
                f"--from-incumbent takes the recipe that an earlier session of study {study.name} kept before its data "
                "or the software changed, and this workspace has none; leave it out"
            )
        note(f"starting from recipe {before.recipe.digest}, which stood at the end of session {before.session}")
        return StartingRecipe(before.recipe, before)
    if before is not None:
        note(_offer(before, study))
    return StartingRecipe(study.start)


def _standing(ledger: Ledger, study: Study, key: str) -> str | None:
    """The digest of the incumbent under the same question and probe key; None if there is none."""
    carried = ledger.checks_after(study.question, key, (CARRIED,), 0)
    return ledger.incumbent(study.question, key) or (carried[-1][1].data["recipe"] if carried else None)


def _before(ledger: Ledger, store: ProbeStore, study: Study, key: ProbeKey) -> Before | None:
    """The incumbent that the last finished session of this study left, if only data or software changed since; None if
    it is the study's own recipe."""
    rows = (ledger.session(name) for name in reversed(ledger.sessions()))
    for row in (row for row in rows if row is not None and _ended_well(row) and row.study == study.name):
        if change := _change(row, store, study, key):
            decisions = ledger.decisions("WHERE session = ? AND status IN ('KEEP', 'RETRACT')", (row.id,))
            recipe = ledger.recipe(last_incumbent(row, decisions))
            return Before(row.id, recipe, change) if recipe.digest != study.start.digest else None
    return None


def _ended_well(row: SessionRow) -> bool:
    return bool(row.finished) and not (row.finish_reason or "").startswith(BASELINE_FAILED)


def _change(row: SessionRow, store: ProbeStore, study: Study, key: ProbeKey) -> str:
    """What changed since a session, in words; "" if nothing did, or more than the data and the software."""
    added = _added(row, study)
    began = store.key(row.key) if added is not None else None
    if added is None or began is None:
        return ""
    then, today = asdict(began), asdict(key)
    different = {name for name in then if then[name] != today[name]}
    if not different or not different <= MAY_DIFFER:
        return ""
    if added:
        return f"the study got the source{'s' * (len(added) > 1)} {', '.join(added)}"
    return "its rows changed" if "data" in different else "the software or the machine changed"


def _added(row: SessionRow, study: Study) -> tuple[str, ...] | None:
    """The sources that were added to the study of a session; None if something else changed."""
    if row.question == study.question:
        return ()
    try:
        return added_sources(recorded_study(study.path, row.study_text), study)
    except BadInput:  # this version cannot read that study
        return None


def _offer(before: Before, study: Study) -> str:
    moved = (
        f"{knob.name} {show(own)} -> {show(theirs)}"
        for knob in study.lanes.knobs
        if (own := knob.read(study.start)) != (theirs := knob.read(before.recipe))
    )
    return (
        f"session {before.session} left the recipe {before.recipe.digest} ({', '.join(moved)}), and then "
        f"{before.change}, so what was measured is not compared any more and this session starts from the study's own "
        "recipe; to start from that one, stop this session and run it again with --from-incumbent"
    )
