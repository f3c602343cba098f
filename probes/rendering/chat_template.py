"""A chat template: how it renders turns, what it writes around an answer, and whether it renders all that was said."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from common.errors import BadInput
from probes.inputs.settings import ModelSettings
from probes.inputs.turns import Turns, messages
from probes.rendering.marked_parts import MarkedParts, structure
from probes.scoring.thoughts import without_thoughts

ANSWER = "Kumquats zigzag."  # stands for an answer, to see what a template writes around one
Messages = list[dict[str, Any]]


class Unrenderable(Exception):
    """A row or prompt that this tokenizer or template cannot take, or would turn into something else; says why."""


class ChatTemplate:
    """The template of a tokenizer, or of a file of the study (``own``), with the study's settings."""

    def __init__(self, tokenizer: Any, settings: ModelSettings, own: str | None) -> None:
        self._tokenizer, self._settings, self._own = tokenizer, settings, own
        self._left_out: dict[Any, int | None] = {}

    def question(self, asked: Turns, tools: str) -> str:
        """With the assistant's turn begun."""
        turns = messages(asked, "user")
        text = self._rendered(turns, tools, True)
        self._require_all(turns, [], tools, text)
        return text

    def answer(self, asked: Turns, side: Turns, tools: str, question: str) -> str:
        """What follows the question, to the end of the last turn."""
        before, turns = messages(asked, "user"), messages(side, "assistant")
        whole = self._rendered([*before, *turns], tools, False)
        if not whole.startswith(question):
            raise Unrenderable(no_prefix(question, whole))
        self._require_all(before, turns, tools, whole[len(question) :])
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
            why = f"it changes an answer {ANSWER!r} into something else; set chat_template under [model]"
        raise BadInput(f"a chat template renders a question and its answer, and of this one: {why}")

    @property
    def around(self) -> tuple[str, str]:
        """What it writes between a question and its answer, and behind the answer."""
        question, whole = self.sample
        before, _, behind = whole.rpartition(ANSWER)
        return before[len(question) :] if before.startswith(question) else "", behind

    def _rendered(self, turns: Messages, tools: str, asks: bool) -> str:
        """With the study's date where the template asks for today's: what is trained tonight is asked tomorrow."""
        from transformers.utils.chat_template_utils import _compile_jinja_template

        given = json.loads(tools) if tools else None
        template = self._own or self._tokenizer.get_chat_template(tools=[{}] if given else None)
        try:
            compiled = _compile_jinja_template(template)  # the one that transformers keeps and renders
            compiled.globals["strftime_now"] = self._settings.date.strftime
            text: str = self._tokenizer.apply_chat_template(
                turns,
                tools=given,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=asks,
                **self._settings.chat_template_kwargs,
            )
        except Exception as error:  # a template is a program of somebody else's, and may fail in any way
            why = " ".join(f"{error}".split())[:200] or type(error).__name__
            raise Unrenderable(
                f"the chat template refuses it ({why}); write the turns as the template takes them, or set "
                "chat_template under [model]"
            ) from None
        return text

    def _require_all(self, asked: Messages, side: Messages, tools: str, text: str) -> None:
        """Refuse what a template leaves out without a word: a turn's content or name, a call, a tool. ``text``: what
        the side was rendered to, or the question where there is no side."""
        for turn in side or asked:
            content = str(turn["content"])
            parts = {f"{turn['role']} turn": content}
            if not side and turn["role"] == "assistant":
                parts = {"assistant turn": without_thoughts(content)}  # of earlier answers, thoughts may be left out
            elif side:
                parts["reasoning_content"] = str(turn.get("reasoning_content") or "")
            for what, said in parts.items():
                if not _stands_in(said, text):
                    raise Unrenderable(_left_out(what, said))
        key = (structure(asked), structure(side), tools)
        if key not in self._left_out:
            self._left_out[key] = self._first_left_out(asked, side, tools)
        place = self._left_out[key]
        if place is not None:
            what, said, _ = MarkedParts(asked, side, tools).parts[place]
            raise Unrenderable(_left_out(what, said))

    def _first_left_out(self, asked: Messages, side: Messages, tools: str) -> int | None:
        """Which part of turns of this structure the template does not write, seen by a unique word in its place."""
        marked = MarkedParts(asked, side, tools)
        try:
            text = self._rendered(marked.turns, marked.tools, not side).casefold()
        except Unrenderable:
            return None  # a template may know the tools that it takes by their names
        return next((place for place, (_, _, word) in enumerate(marked.parts) if word not in text), None)


def _left_out(what: str, said: str) -> str:
    return (
        f"the chat template leaves its {what} out ({' '.join(said.split())[:60]!r}); take that out of the row, or set "
        "a chat_template under [model] that writes it"
    )


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
