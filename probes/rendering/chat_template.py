"""A chat template: how it renders turns, what it writes around an answer, and whether it renders all that was said."""

import json
import re
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

from common.errors import BadInput
from probes.inputs.settings import ModelSettings
from probes.inputs.turns import Turns, messages
from probes.scoring.thoughts import without_thoughts

ANSWER = "Kumquats zigzag."  # stands for an answer, to see what a template writes around one
Messages = list[dict[str, Any]]


class Unrenderable(Exception):
    """A row or prompt that this tokenizer or template cannot take, or would turn into something else; says why."""


class ChatTemplate:
    """The template of a tokenizer, or of a file of the study (``own``), with the study's settings."""

    def __init__(self, tokenizer: Any, settings: ModelSettings, own: str | None) -> None:
        self._tokenizer, self._settings, self._own = tokenizer, settings, own
        self._dated: dict[bool, str] = {}

    def question(self, asked: Turns, tools: str) -> str:
        """With the assistant's turn begun."""
        told = messages(asked, "user")
        text = self._rendered(told, tools, True)
        _require_said(told, tools, text, asked=True)
        return text

    def answer(self, asked: Turns, side: Turns, tools: str, question: str) -> str:
        """What follows the question, to the end of the last turn."""
        told = messages(side, "assistant")
        whole = self._rendered([*messages(asked, "user"), *told], tools, False)
        if not whole.startswith(question):
            raise Unrenderable(no_prefix(question, whole))
        _require_said(told, "", whole[len(question) :], asked=False)
        return whole[len(question) :]

    @cached_property
    def sample(self) -> tuple[str, str]:
        """A question, and it with the answer ANSWER. BadInput for a template that does not render these."""
        user, assistant = {"role": "user", "content": "Hello."}, {"role": "assistant", "content": ANSWER}
        why = ""
        for asked in ([user], [{"role": "system", "content": "Be brief."}, user]):
            try:
                question, whole = self._rendered(asked, "", True), self._rendered([*asked, assistant], "", False)
            except Unrenderable as error:
                why = why or f"for a question with an answer {error}"
                continue
            if ANSWER in whole:
                return question, whole
            why = f"it changes an answer {ANSWER!r} into something else"
        raise BadInput(f"a chat template renders a question and its answer, and of this one: {why}; set chat_template")

    @property
    def around(self) -> tuple[str, str]:
        """What it writes between a question and its answer, and behind the answer."""
        question, whole = self.sample
        before, _, behind = whole.rpartition(ANSWER)
        return before[len(question) :] if before.startswith(question) else "", behind

    def _rendered(self, told: Messages, tools: str, asks: bool) -> str:
        from jinja2 import TemplateError

        given = json.loads(tools) if tools else None
        try:
            text: str = self._tokenizer.apply_chat_template(
                told, tools=given, chat_template=self._of(bool(given)), tokenize=False, add_generation_prompt=asks,
                **self._settings.chat_template_kwargs,
            )  # fmt: skip
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise Unrenderable(f"the chat template refuses it ({' '.join(str(error).split())[:200]})") from None
        return text

    def _of(self, tools: bool) -> str:
        """The text of the template; a tokenizer may have one of its own for rows with tools."""
        if tools not in self._dated:
            text = self._own or self._tokenizer.get_chat_template(tools=[{}] if tools else None)
            self._dated[tools] = dated(text, self._settings.date)
        return self._dated[tools]


def dated(template: str, today: date) -> str:
    """A chat template with a fixed date where it asks for today's: what is trained tonight is asked tomorrow. BadInput
    where it asks in a way that cannot be seen."""

    def told(call: re.Match[str]) -> str:
        return repr(today.strftime(call[2]))

    found = re.sub(r"""strftime_now\(\s*(?:format\s*=\s*)?(['"])(.*?)\1\s*\)""", told, template)
    if re.search(r"strftime_now\s*\(", found):
        raise BadInput(
            "a chat template is told a fixed date, and this one asks for today's by a format that is no text; write "
            "the format into the call, in a file that chat_template under [model] names"
        )
    return found


def _require_said(told: Messages, tools: str, text: str, asked: bool) -> None:
    """Refuse what a template passes over without a word: a turn's content, a call, a tool. Of an earlier answer in a
    question it may leave the thoughts out."""
    for name, said in _parts(told, tools, asked):
        if not _stands_in(said, text):
            raise Unrenderable(
                f"the chat template leaves its {name} out ({' '.join(said.split())[:60]!r}); take that out of the row, "
                "or set a chat_template under [model] that writes it"
            )


def _parts(told: Messages, tools: str, asked: bool) -> list[tuple[str, str]]:
    """What must be found in a rendering, each with its name."""
    found = []
    for turn in told:
        content = str(turn["content"])
        found.append(
            (f"{turn['role']} turn", without_thoughts(content) if asked and turn["role"] == "assistant" else content)
        )
        found += [
            ("tool_calls", str(call.get("function", {}).get("name", ""))) for call in turn.get("tool_calls") or []
        ]
        if not asked:
            found.append(("reasoning_content", str(turn.get("reasoning_content") or "")))
    for tool in json.loads(tools) if tools else []:
        found.append(("tools", str(tool.get("function", tool).get("name", ""))))
    return found


def _stands_in(said: str, text: str) -> bool:
    """As it is, as JSON has it, or but for white space."""
    said = said.strip()
    if not said or said in text or json.dumps(said, ensure_ascii=False)[1:-1] in text or json.dumps(said)[1:-1] in text:
        return True
    return "".join(said.split()) in "".join(text.split())


def no_prefix(question: str, whole: str) -> str:
    """Of a template whose question is no beginning of the question with its answer, with both renderings."""
    pairs = enumerate(zip(question, whole, strict=False))
    at = next((place for place, (one, other) in pairs if one != other), min(len(question), len(whole)))
    shown = [repr(text[max(0, at - 60) : at + 60]) for text in (question, whole)]
    return (
        f"the chat template asks with ...{shown[0]}... and renders the row as ...{shown[1]}..., so what is trained is "
        "never asked; set chat_template_kwargs under [model] (say enable_thinking = false), or chat_template"
    )


def texts_of(text: Turns, tools: str = "") -> Sequence[str]:
    """All that a row says on one side, other keys than the content too."""
    if isinstance(text, str):
        return [text, tools]
    return [tools, *(part for turn in text for part in (turn.content, turn.more))]
