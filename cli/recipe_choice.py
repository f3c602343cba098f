"""Which recipe a full-length run trains: that of a file, the last session's incumbent, or the study's own."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agent.ledger.file import holds_sessions
from agent.ledger.store import Ledger
from agent.ledger.tables import last_incumbent
from agent.loop.nodes import BASELINE_FAILED
from agent.study.complaints import complaint
from agent.study.load import Study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from common.wording import nearest
from lanes import Recipe, check_recipe
from probes.inputs.toml_file import parse_strict


@dataclass(frozen=True)
class ChosenRecipe:
    """A recipe, and where it comes from, in words."""

    recipe: Recipe
    origin: str


def recipe_for(study: Study, workspace: Workspace, file: Path | None = None) -> ChosenRecipe:
    """The recipe of ``file``; else the incumbent of the last finished session under the study's question; else the
    study's own. BadInput if the file has no recipe, or one that this study cannot train.

    Sessions are compared by their question, since only a worker knows the probe key.
    """
    if file is not None:
        return ChosenRecipe(_read_recipe(file, study), str(file))
    own = f"the study's own, since {workspace.root} has no finished session under its question"
    return _last_incumbent(workspace, study.question) or ChosenRecipe(study.start, own)


def _last_incumbent(workspace: Workspace, question: str) -> ChosenRecipe | None:
    """The incumbent of the last finished session that could measure its starting recipe."""
    if not holds_sessions(workspace.ledger):
        return None
    with Ledger(workspace.ledger, read_only=True) as ledger:
        rows = [row for name in reversed(ledger.sessions()) if (row := ledger.session(name))]
        for row in rows:
            unmeasured = (row.finish_reason or "").startswith(BASELINE_FAILED)
            if row.question == question and row.finished and not unmeasured:
                decisions = ledger.decisions("WHERE session = ? AND status IN ('KEEP', 'RETRACT')", (row.id,))
                return ChosenRecipe(ledger.recipe(last_incumbent(row, decisions)), f"the incumbent of session {row.id}")
    return None


def _read_recipe(path: Path, study: Study) -> Recipe:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        recipe = parse_strict(Recipe, table)
    except (OSError, UnicodeDecodeError):
        raise BadInput(
            f"{path} cannot be read as a recipe; give a recipe.toml, as sessions write one to runs/session-*/"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}; correct that line") from None
    except ValidationError as error:
        raise BadInput(f"{path}, {complaint(error)}") from None
    except (RecursionError, TypeError, ValueError):
        raise BadInput(f"{path} nests too deeply, or holds a date or an endless number; write a recipe") from None
    _require_trainable(path, recipe, study)
    return recipe


def _require_trainable(path: Path, recipe: Recipe, study: Study) -> None:
    sources = study.file.data.sources
    for source in recipe.mixture:
        if source not in sources:
            raise BadInput(f"{path}: the mixture weighs {source!r}{nearest(source, sources)}")
    try:
        check_recipe(recipe)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
