"""Rows, prompts and stores for tests of the pairs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import Row, StoreKind
from preferences.store.stores import Stores
from probes.inputs.prompts import Prompt
from probes.inputs.rows.turns import Turn

TIME = "2026-11-21T20:00:00Z"
ASKED = "Write a function that returns the sum of the even items of a list of whole numbers"
HELD_OUT = "Write a function that counts how often each letter occurs in a text, in lower case"
CERTIFIED: Mapping[str, Any] = {
    "certified": True,
    "receipts": [{"layer": "coverage", "figures": {"inputs": 90, "branch_percent": 85.0}}],
}


def prompts() -> list[Prompt]:
    return [
        Prompt("probe-1", "probe", "lists", 1, ASKED, {}),
        Prompt("holdout-1", "holdout", "strings", 1, HELD_OUT, {}),
        Prompt("harvest-1", "harvest", "lists", 1, "Double every item.", {}),
    ]


def stores(folder: Path) -> Stores:
    """Empty stores that know the prompts."""
    made = Stores(folder / "rl_data")
    made.reserve(prompts())
    return made


def side(origin: Any = "sampled", **more: Any) -> TextOrigin:
    return TextOrigin(origin, **more)


def pair(number: int = 0, kind: StoreKind = "dpo", **changes: Any) -> Row:
    """A pair that depends on the number; its margin is 4 - number / 10."""
    values: dict[str, Any] = {
        "kind": kind,
        "time": TIME,
        "prompt": f"# task {number}\n",
        "texts": (f"def f(x):\n    return x * {number}\n", f"def f(x):\n    return x - {number}\n"),
        "scores": (8.0 - number / 10, 4.0),
        "category": "arithmetic",
        "source": "harvest",
        "provenance": Provenance((side(recipe="kept"), side(recipe="gone")), "s1", "s1-001", f"harvest-{number}", "k"),
        "receipt": CERTIFIED if kind == "orpo" else None,
    }
    return Row(**{**values, **changes})


def reward(number: int = 0, **changes: Any) -> Row:
    values: dict[str, Any] = {
        "kind": "reward",
        "time": TIME,
        "prompt": f"# task {number}\n",
        "texts": (f"return {number}\n",),
        "scores": (float(number % 11),),
        "category": "lists",
        "source": "harvest",
        "provenance": Provenance((side(figures={"correct": 0.5, "brief": 1}),), "s1", "", f"harvest-{number}", "k"),
    }
    return Row(**{**values, **changes})


def turns(*pairs: tuple[str, str]) -> tuple[Turn, ...]:
    return tuple(Turn(*pair) for pair in pairs)


def talk(number: int = 0, kind: StoreKind = "dpo", **changes: Any) -> Row:
    """A conversational pair."""
    asked = turns(("system", "Be brief."), ("user", f"Question {number}?"))
    answers = (turns(("assistant", f"Yes, {number}.")), turns(("assistant", f"No, {number}.")))
    return pair(number, kind, **{"prompt": asked, "texts": answers, **changes})
