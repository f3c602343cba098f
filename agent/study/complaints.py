"""Validation errors of a study file as one sentence: where, the law, the value, the remedy."""

from pydantic import BaseModel, ValidationError

from agent.policy.settings import RETIRED
from agent.study.schema import StudyFile
from common.wording import lower_first, nearest
from lanes import Recipe, SourceFilter
from lanes.search_space import KNOB_NAMES
from probes.inputs.settings import MOVED


def complaint(error: ValidationError, scorer: type[BaseModel] | None = None) -> str:
    """The first error as one sentence; unknown keys come before other errors. ``scorer``: the settings class if the
    error is about [scorer] and not about the whole file."""
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    where = [str(part) for part in problem["loc"]]
    where = ["recipe", *where] if error.title == "Recipe" else where
    section = f"[{'.'.join(where[:-1])}] " if len(where) > 1 else ""
    section = "[scorer] " if scorer else section
    name, kind = where[-1] if where else "", problem["type"]
    if kind == "extra_forbidden" and not section:
        return f"{name!r} is no key or table of a study{nearest(name, list(StudyFile.model_fields))}"
    if kind == "extra_forbidden" and where[0] == "policy" and name in RETIRED:
        return f"{section}{name} is a key of an older version and decides nothing any more; take it out"
    if kind == "extra_forbidden" and where[0] == "probe" and name in MOVED:
        return f"{section}{name} is a key of [runner] now, since no reading depends on it; move the line there"
    if kind == "extra_forbidden":
        return f"{section}has no key {name!r}{nearest(name, _known_keys(error.title, where[:-1], scorer))}"
    if kind == "missing":
        return f"{section}{name} is missing; add it"
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{section}{message}" if message.startswith(f"{name}=") else f"[{'.'.join(where)}] {message}"
    if kind == "model_type":
        return f"{section}{name}={problem['input']!r} is refused: it is a table of keys; write {name} = {{ ... }}"
    return f"{section}{name}={problem['input']!r} is refused: {lower_first(message)}; give such a value"


def _known_keys(title: str, where: list[str], scorer: type[BaseModel] | None) -> list[str]:
    if scorer:
        return list(scorer.model_fields)
    if title == "Recipe":
        return list(SourceFilter.model_fields if len(where) > 1 else Recipe.model_fields)
    if len(where) >= 2 and where[0] == "lanes" and where[1] in KNOB_NAMES and len(where) == 2:
        return ["share", *KNOB_NAMES[where[1]]]
    model: type[BaseModel] = StudyFile
    for part in where:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ["low", "high", "step", "factor", "reach", "choices"]
        model = annotation
    return list(model.model_fields)
