"""Reads the prompt, the sides and the tools of a row, for sources, `pairs import` and exports.

docs/data.md has the forms, with an example each. A BadInput is a sentence about the row without its place; if it begins
with "it", the place becomes its subject (``at`` in probes/inputs/files/records.py).
"""

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import BadInput
from probes.inputs.rows.columns import PAIR, WHOLE, require_no_other_meaning
from probes.inputs.rows.conversation import (
    Conversation,
    leading,
    require_answer,
    require_prompt,
    split_at_common_beginning,
    split_at_prompt,
    with_system,
)
from probes.inputs.rows.messages import canonical, turns_of
from probes.inputs.rows.repeated_prompts import without_prompt
from probes.inputs.rows.turns import Turn, Turns

_WHOLE = re.compile(r"([+-]?[0-9]{1,15})(\.0*)?")
_WRITTEN_OUT = re.compile(
    r"""\s*(\[\s*\{\s*(?=['"]).*?|\{\s*(?=['"])[^{}]*)['"](role|from)['"]\s*:\s*"""
    r"""['"](system|user|assistant|tool|human|gpt)['"]""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was refused, and the reason in one sentence. ``line``: in a text file; elsewhere the row."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a row, all of them plain or all of them turns. ``tools``: a JSON list, "" for none."""

    prompt: Turns
    sides: tuple[Turns, ...]
    tools: str = ""


def texts_of(record: Mapping[str, Any], sides: Sequence[str] = PAIR, remove_prompt: bool = False) -> Texts:
    """The texts of a row; BadInput if training on them would not do what the row means.

    ``remove_prompt``: plain answers lose the prompt that they begin with (``removes_prompts``).
    """
    require_no_other_meaning(record)
    answers = {name: _given(record, name, sides) for name in sides}
    prompt, system, tools = _prompt(record), system_of(record), _tools(record)
    if remove_prompt and isinstance(prompt, str) and all(isinstance(text, str) for text in answers.values()):
        answers = dict(without_prompt(prompt, {name: str(text) for name, text in answers.items()}))
    if prompt is None and "prompt" in record and all(isinstance(text, str) for text in answers.values()):
        raise BadInput("it has no text in 'prompt', which is empty; write one, or leave the row out")
    if prompt is None:
        texts = _without_prompt(answers)
    elif not (system or tools) and all(isinstance(text, str) for text in (prompt, *answers.values())):
        texts = Texts(prompt, tuple(answers.values()))
    else:
        talks = {name: _turns(text, "assistant") for name, text in answers.items()}
        texts = Texts(*split_at_prompt(_turns(prompt, "user"), talks))
    texts = Texts(with_system(system, texts.prompt), texts.sides, tools)
    _require_laws(texts, sides)
    require_nothing_more(record, texts.prompt, texts.sides)
    return texts


def difficulty_of(record: Mapping[str, Any]) -> int:
    """The difficulty: a whole number of at most 15 digits, which may be a text ("2" or "2.0"); 1 if it is missing."""
    value = record.get("difficulty")
    if value is None or value == "":
        return 1
    text = value if isinstance(value, str) else repr(value) if type(value) in (int, float) else ""
    if not (match := _WHOLE.fullmatch(text.strip())):
        raise BadInput(f"it has difficulty={reprlib.repr(value)}; write a whole number of at most 15 digits")
    return int(match[1])


def require_nothing_more(record: Mapping[str, Any], prompt: Turns, sides: Sequence[Turns] = ()) -> None:
    """BadInput for a column of ``WHOLE`` that is neither the prompt nor the prompt with a side."""
    asked = _turns(prompt, "user")
    repetitions = [asked, *(asked + _turns(side, "assistant") for side in sides)]
    known = [_bare(turns[start:]) for turns in repetitions for start in {0, leading(asked)}]
    for name in WHOLE:
        if (value := record.get(name)) and _repeated(name, value) not in known:
            raise BadInput(
                f"it has the column {name!r}, which says something else than its prompt and answers; write it into the "
                "prompt, or take the column out"
            )


def _repeated(name: str, value: object) -> object:
    try:
        return _bare(_turns(turns_of(name, value), "user"))
    except BadInput:
        return None


def _given(record: Mapping[str, Any], name: str, sides: Sequence[str]) -> Turns:
    if name not in record:
        wanted = " and ".join((", ".join(("prompt", *sides[:-1])), sides[-1]))
        raise BadInput(f"it has no column {name!r}; a row needs {wanted}")
    text = turns_of(name, record[name])
    _require_not_written_out(name, text)
    return text


def _prompt(record: Mapping[str, Any]) -> Turns | None:
    name = next((name for name in ("prompt", "conversations") if not _is_blank(record.get(name))), None)
    if name is None:
        return None
    text = turns_of(name, record[name])
    _require_not_written_out(name, text)
    return text


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _require_not_written_out(name: str, text: Turns) -> None:
    if isinstance(text, str) and _WRITTEN_OUT.match(text):
        raise BadInput(
            f"it has in {name!r} a conversation that is written as a text; write it as a list of turns "
            "(docs/data.md has the script)"
        )


def system_of(record: Mapping[str, Any]) -> Conversation:
    """The system turn in the column "system"; () for none."""
    value = record.get("system")
    if _is_blank(value):
        return ()
    if not isinstance(value, str):
        raise BadInput("it has a column 'system' that is no text; write one, or take the column out")
    return (Turn("system", value),)


def _tools(record: Mapping[str, Any]) -> str:
    value = record.get("tools")
    try:
        tools = json.loads(value) if isinstance(value, str) and value.strip() else value
    except (ValueError, RecursionError):
        tools = 0
    if not tools and tools != 0:
        return ""
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise BadInput("it has tools that are no list of JSON schemas; write one, or take the column out")
    return canonical(tools)


def _turns(text: Turns, role: str) -> Conversation:
    return (Turn(role, text),) if isinstance(text, str) else text


def _without_prompt(answers: Mapping[str, Turns]) -> Texts:
    talks = {name: text for name, text in answers.items() if not isinstance(text, str)}
    if len(answers) < len(PAIR):
        raise BadInput(f"it has no column 'prompt'; a row needs prompt and {' and '.join(answers)}")
    if len(talks) < len(answers):
        raise BadInput(
            "it has no column 'prompt', and where the prompt ends in a plain text is not guessed; write prompt, "
            f"{' and '.join(answers)} (docs/data.md has the script)"
        )
    return Texts(*split_at_common_beginning(talks))


def _require_laws(texts: Texts, sides: Sequence[str]) -> None:
    for name, text in zip(("prompt", *sides), (texts.prompt, *texts.sides), strict=True):
        if not isinstance(text, str):
            require_prompt(text) if name == "prompt" else require_answer(name, text)
        elif not text.strip():
            raise BadInput(f"it has no text in {name!r}, which is empty; write one, or leave the row out")
    if len(texts.sides) > 1 and _bare(texts.sides[0]) == _bare(texts.sides[1]):
        raise BadInput("chosen and rejected are the same text, white space around it aside; a pair needs a difference")


def _bare(text: Turns) -> object:
    """The text without surrounding white space, in which alone two answers must not differ."""
    return text.strip() if isinstance(text, str) else [turn._replace(content=turn.content.strip()) for turn in text]
