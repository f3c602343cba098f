"""The recipe that a full-length run trains: that of a file, a row or a session, the last incumbent, or the study's
own."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agent.ledger.database.file import holds_sessions
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow, last_incumbent
from agent.loop.nodes import BASELINE_FAILED
from agent.study.complaints import complaint
from agent.study.load import Study, named_mixture
from agent.workspace.folder import Workspace
from common.errors import BadInput
from common.wording import nearest
from lanes import Recipe
from probes.inputs.toml_file import parse_strict


@dataclass(frozen=True)
class ChosenRecipe:
    """A recipe, and where it comes from, in words."""

    recipe: Recipe
    origin: str


INCUMBENT = "incumbent"


def recipe_for(study: Study, workspace: Workspace, named: str = INCUMBENT) -> ChosenRecipe:
    """The recipe that ``named`` means: a file; the id of a session (its last incumbent); the id of a row (the incumbent
    after a KEEP or a RETRACT, the tried recipe of a DISCARD or a CRASH); or "incumbent", that of the last finished
    session under the study's question, or the study's own recipe without one.

    BadInput if there is no such recipe, or if this study cannot train it. Sessions are matched by their question, since
    only a worker knows the probe key.
    """
    if named == INCUMBENT:
        own = f"the study's own, since {workspace.root} has no finished session under its question"
        return _last_incumbent(workspace, study.question) or ChosenRecipe(study.start, own)
    if not Path(named).exists() and holds_sessions(workspace.ledger):
        with Ledger(workspace.ledger, read_only=True) as ledger:
            found = _by_id(ledger, named, study)
        if found is not None:
            _require_trainable(found.origin, found.recipe, study)
            return found
    return ChosenRecipe(_read_recipe(Path(named), study), named)


def _by_id(ledger: Ledger, named: str, study: Study) -> ChosenRecipe | None:
    """The recipe of a session or of a row; BadInput if they belong to another study."""
    decision = ledger.decision(named)
    row = ledger.session(decision.session if decision else named)
    if row is None:
        return None
    if row.study != study.name:
        raise BadInput(
            f"a recipe is trained by its own study, and {named} belongs to the study {row.study!r} and not to "
            f"{study.name!r}; give that study, or a recipe.toml"
        )
    if decision is None:
        return ChosenRecipe(_left_by(ledger, row), f"the incumbent of session {row.id}")
    if decision.status in ("DISCARD", "CRASH"):
        (tried,) = ledger.proposals("WHERE id = ?", (decision.proposal,)) or (None,)
        if tried is not None:
            return ChosenRecipe(ledger.recipe(tried.child), f"the recipe that {named} tried ({decision.status})")
    return ChosenRecipe(ledger.recipe(decision.incumbent), f"the recipe that stood after {named} ({decision.status})")


def _last_incumbent(workspace: Workspace, question: str) -> ChosenRecipe | None:
    if not holds_sessions(workspace.ledger):
        return None
    with Ledger(workspace.ledger, read_only=True) as ledger:
        row = last_session(ledger, question)
        return ChosenRecipe(_left_by(ledger, row), f"the incumbent of session {row.id}") if row else None


def last_session(ledger: Ledger, question: str) -> SessionRow | None:
    """The last finished session under a question that could measure its starting recipe."""
    return next((row for row in _sessions(ledger, question) if row.finished), None)


def newest_session(ledger: Ledger, question: str) -> SessionRow | None:
    """The newest session under a question, finished or not, unless it could not measure its starting recipe."""
    return next(_sessions(ledger, question), None)


def _sessions(ledger: Ledger, question: str) -> Iterator[SessionRow]:
    """The sessions under a question that could measure their starting recipe, the newest first."""
    rows = (row for name in reversed(ledger.sessions()) if (row := ledger.session(name)))
    return (
        row for row in rows if row.question == question and not (row.finish_reason or "").startswith(BASELINE_FAILED)
    )


def _left_by(ledger: Ledger, row: SessionRow) -> Recipe:
    """The incumbent at the end of a session."""
    decisions = ledger.decisions("WHERE session = ? AND status IN ('KEEP', 'RETRACT')", (row.id,))
    return ledger.recipe(last_incumbent(row, decisions))


def _read_recipe(path: Path, study: Study) -> Recipe:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        if "mixture" in table:
            table["mixture"] = named_mixture(table["mixture"], study.file.data.manifests, f"{path},")
        recipe = parse_strict(Recipe, table)
    except (OSError, UnicodeDecodeError):
        raise BadInput(
            f"{path} cannot be read as a recipe, and no session or row of the workspace has that id; give a "
            "recipe.toml, as sessions write one to runs/session-*/, an id of results.tsv, or incumbent"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}; correct that line") from None
    except ValidationError as error:
        raise BadInput(f"{path}, {complaint(error)}") from None
    except (RecursionError, TypeError, ValueError):
        raise BadInput(f"{path} nests too deeply, or holds a date or an endless number; write a recipe") from None
    _require_trainable(str(path), recipe, study)
    return recipe


def _require_trainable(path: str, recipe: Recipe, study: Study) -> None:
    sources = study.file.data.sources
    for source in recipe.mixture:
        if source not in sources:
            raise BadInput(f"{path}: the mixture weighs {source!r}{nearest(source, sources)}")
    try:
        study.lanes.check(recipe)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
