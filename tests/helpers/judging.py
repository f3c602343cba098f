"""A rubric, prompts and complete replies for tests of the judge."""

import json
import tomllib
from pathlib import Path
from typing import Any

from probes.inputs.prompts import Prompt
from probes.scoring import Answer
from probes.scoring.judge.rubric import Rubric, load_rubric

WEIGHTS = {"voice": 25, "rhetorical": 20, "historical": 20, "position": 20, "integrity": 15}
MARKS = {"voice": 8, "rhetorical": 7.5, "historical": 10, "position": 6, "integrity": 9.25}
VALUE = (25 * 8 + 20 * 7.5 + 20 * 10 + 20 * 6 + 15 * 9.25) / 100
RUBRIC = "\n".join(
    [
        "scale = { low = 0, high = 10 }",
        *(
            f'[[component]]\nname = "{name}"\nweight = {weight}\ndefinition = "how good its {name} is"'
            for name, weight in WEIGHTS.items()
        ),
        '[[critical]]\nname = "breaks_character"\ndefinition = "says it is a program"\ncap = 2',
        '[[critical]]\nname = "empty"\ndefinition = "no answer"\ncap = 0',
        '[categories]\nweather = "Sea and sky."\nmemory = "Her own years."',
    ]
)
PLAIN = Rubric.model_validate_json(json.dumps(tomllib.loads(RUBRIC)))


def write_rubric(folder: Path, text: str = RUBRIC) -> Rubric:
    path = folder / "rubric.toml"
    path.write_text(text, encoding="utf-8")
    return load_rubric(path)


def good(overall: Any = 7.0, critical: Any = (), **marks: Any) -> str:
    """A complete reply with these marks; it omits ``overall`` or ``critical`` if that is None."""
    parts = {"note": "plain", "critical_failures": critical, "components": {**MARKS, **marks}, "overall": overall}
    return json.dumps({name: part for name, part in parts.items() if part is not None})


def prompt(name: str = "p", category: str = "weather") -> Prompt:
    return Prompt(name, "probe", category, 1, f"What of {name}?", {})


def answers(*texts: str) -> list[Answer]:
    """Answers to different prompts."""
    return [Answer(prompt(f"p{number}"), text) for number, text in enumerate(texts)]
