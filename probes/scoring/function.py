"""The function scorer: a Python function of the user's own scores an answer.

It runs in the worker's process with the user's rights, and is trusted like the study itself. It must not execute what a
model wrote; the execution scorer has a sandbox for that.

    function(prompt: str, answer: str, category: str, checks: dict) -> float | dict | None

It returns a number from 0 to 10, or a dict of which only the score is needed, or None for an answer that cannot be
judged:

    {"score": 7.5, "components": {"tone": 8}, "critical": ["breaks_character"], "outcome": "OK", "note": "..."}
"""

import contextlib
import copy
import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from common.errors import BadInput
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.scoring.protocol import Answer, Context, Mark, Missing, ScorerBroken

ScoringFunction = Callable[[str, str, str, dict[str, Any]], object]
KEYS = ("score", "components", "critical", "outcome", "note")


class FunctionSettings(ScorerSettings):
    """``[scorer] kind = "function"``: a Python function of the user."""

    kind: str = "function"
    function: str = Field(pattern=r"^[^:]+:[A-Za-z_]\w*$")
    """"package.module:name", or "file.py:name" beside the study. That one file is part of the probe key; what it
    imports is not."""


class FunctionScorer:
    """Scores with the study's own function. A result that is neither a score nor None is a failure of the scorer."""

    kind: ClassVar[str] = "function"
    Settings: ClassVar[type[ScorerSettings]] = FunctionSettings

    def __init__(self, settings: FunctionSettings, folder: Path = Path()) -> None:
        self._name = settings.function
        self._function = load_function(settings.function, folder)

    @property
    def about(self) -> str:
        return f"function: {self._name}"

    @staticmethod
    def examiner(settings: ScorerSettings, folder: Path) -> None:
        """None: this scorer cannot change."""

    @staticmethod
    def files(settings: FunctionSettings, folder: Path) -> Sequence[Path]:
        return (_source(settings.function, folder),)

    @staticmethod
    def check(settings: FunctionSettings, folder: Path, prompts: Sequence[Prompt]) -> None:
        load_function(settings.function, folder)

    def score(self, answers: Sequence[Answer], context: Context | None = None) -> list[Mark | Missing]:
        return [self._mark(answer) for answer in answers]

    def close(self) -> None:
        """Nothing is held open."""

    def _mark(self, answer: Answer) -> Mark | Missing:
        prompt = answer.prompt
        try:
            given = self._function(prompt.text, answer.text, prompt.category, copy.deepcopy(prompt.checks))
        except (Exception, SystemExit) as error:  # the boundary to code that is not ours
            raise ScorerBroken(
                f"[scorer] function {self._name!r} raised {_one_line(error)} for prompt {prompt.id!r}; mend it, or "
                "return None for an answer that cannot be judged"
            ) from error
        if given is None:
            return Missing("the function gave None")
        try:
            return to_mark(given)
        except Exception as error:  # the result may be an object that raises anything
            raise ScorerBroken(
                f"[scorer] function {self._name!r} gave {_shown(given)} for prompt {prompt.id!r} and {_law(error)}; "
                "mend it, or return None for an answer that cannot be judged"
            ) from None


def to_mark(result: object) -> Mark:
    """Make a mark of a number or a dict; ValueError says what is wrong with it."""
    if not isinstance(result, Mapping):
        return Mark(_points("a score", result))
    if unknown := [key for key in result if key not in KEYS]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(KEYS)}")
    if "score" not in result:
        raise ValueError("a dict needs a 'score'")
    parts, critical = result.get("components", {}), result.get("critical", ())
    if not isinstance(parts, Mapping) or not all(isinstance(name, str) for name in parts):
        raise ValueError("'components' is a dict of names and numbers")
    if not isinstance(critical, list | tuple) or not all(isinstance(name, str) and name for name in critical):
        raise ValueError("'critical' is a list of names")
    words = [result.get(name, "") for name in ("outcome", "note")]
    if not all(isinstance(word, str) for word in words):
        raise ValueError("'outcome' and 'note' are texts")
    components = {name: _points(f"component {name!r}", value) for name, value in parts.items()}
    return Mark(_points("a score", result["score"]), components, tuple(critical), *words)


def _law(error: Exception) -> str:
    return str(error) if type(error) is ValueError else _one_line(error)


def _shown(value: object) -> str:
    try:
        return repr(value)[:200]
    except Exception:
        return f"a {type(value).__name__}"


def _points(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{what} is a number from 0 to 10")
    points = float(value)
    if not (math.isfinite(points) and 0 <= points <= 10):
        raise ValueError(f"{what} is a number from 0 to 10, not {points:g}")
    return points


def load_function(name: str, folder: Path) -> ScoringFunction:
    """Import the function; BadInput when its file cannot be imported or has no such function."""
    path = _source(name, folder)
    place, _, attribute = name.partition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(f"nightlane_function_{path.stem}", path)
            module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
            sys.modules[module.__name__] = module  # dataclasses look their module up there
            spec.loader.exec_module(module)  # type: ignore[union-attr]
        else:
            module = importlib.import_module(place)
    except (Exception, SystemExit) as error:  # the boundary to code that is not ours
        raise BadInput(f"{path} ([scorer] function) cannot be imported ({_one_line(error)}); mend it") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise BadInput(f"{path} has no function {attribute!r} ([scorer] function={name!r}); define it or mend the name")
    try:
        with contextlib.suppress(ValueError):  # a builtin without a signature
            inspect.signature(function).bind("prompt", "answer", "category", {})
    except TypeError:
        raise BadInput(
            f"{path}: [scorer] function {attribute!r} is called with prompt, answer, category and checks, and does not "
            "take these four; mend its parameters"
        ) from None
    found: ScoringFunction = function
    return found


def _source(name: str, folder: Path) -> Path:
    """The file of the function; BadInput when there is none."""
    place = name.partition(":")[0]
    if place.endswith(".py"):
        path: Path | None = folder / place
    else:
        try:
            spec = importlib.util.find_spec(place)
        except (ImportError, ValueError):
            spec = None
        path = Path(spec.origin) if spec and spec.origin else None
    if path is None or not path.is_file():
        raise BadInput(
            f"[scorer] function={name!r} names no existing file; give file.py:name, from the study's folder, or "
            "package.module:name of an installed package"
        )
    return path


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200].rstrip(": ")
