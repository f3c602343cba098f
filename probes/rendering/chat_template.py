"""Chat templates: render turns, find what a template writes around an answer, and refuse what it leaves out."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from common.errors import BadInput
from probes.inputs.rows.turns import Turns, messages
from probes.inputs.settings import ModelSettings
from probes.rendering.marked_parts import MarkedParts, structure
from probes.rendering.same_text import excerpts
from probes.scoring.thoughts import without_thoughts

ANSWER = "Kumquats zigzag."  # a sample answer, to see what a template writes around one
Messages = list[dict[str, Any]]


class Unrenderable(Exception):
    """A row or prompt that this tokenizer or template refuses, or would change; the message has the reason."""


class ChatTemplate:
    """The template of a tokenizer, or the study's own template, with the study's settings."""

    def __init__(self, tokenizer: Any, settings: ModelSettings, own: str | None) -> None:
        self._tokenizer, self._settings, self._own = tokenizer, settings, own
        self._left_out: dict[Any, int | None] = {}

    def question(self, asked: Turns, tools: str) -> str:
        """The rendered prompt, up to the beginning of the assistant's turn."""
        turns = messages(asked, "user")
        text = self._rendered(turns, tools, True)
        self._require_all(turns, [], tools, text)
        return text

    def answer(self, asked: Turns, side: Turns, tools: str, question: str) -> str:
        """The rendered answer, which follows the question."""
        before, turns = messages(asked, "user"), messages(side, "assistant")
        whole = self._rendered([*before, *turns], tools, False)
        if not whole.startswith(question):
            raise Unrenderable(question_is_no_prefix(question, whole))
        self._require_all(before, turns, tools, whole[len(question) :])
        return whole[len(question) :]

    @cached_property
    def sample(self) -> tuple[str, str]:
        """A rendered question, without and with ANSWER. BadInput for a template that does not render them."""
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

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names that the template reads and does not set itself; those of all templates of the tokenizer."""
        from jinja2.meta import find_undeclared_variables
        from transformers.utils.chat_template_utils import _compile_jinja_template

        own = self._own or self._tokenizer.chat_template or ""
        names: set[str] = set()
        for template in own.values() if isinstance(own, dict) else (own,):
            names |= find_undeclared_variables(_compile_jinja_template(template).environment.parse(template))
        return frozenset(names)

    @property
    def around(self) -> tuple[str, str]:
        """What the template writes between a question and its answer, and after the answer."""
        question, whole = self.sample
        before, _, after = whole.rpartition(ANSWER)
        return before[len(question) :] if before.startswith(question) else "", after

    @property
    def asks_for_date(self) -> bool:
        """Whether the template, or one of the tokenizer's templates, may write today's date."""
        templates = self._own or self._tokenizer.chat_template
        return any(
            "strftime_now" in text for text in (templates.values() if isinstance(templates, dict) else [templates])
        )

    def _rendered(self, turns: Messages, tools: str, asks: bool) -> str:
        """Render turns. A template that asks for today's date gets the study's, so that prompts do not change."""
        from transformers.utils.chat_template_utils import _compile_jinja_template

        schemas = json.loads(tools) if tools else None
        template = self._own or self._tokenizer.get_chat_template(tools=[{}] if schemas else None)
        try:
            compiled = _compile_jinja_template(template)  # transformers caches it and renders with it
            compiled.globals["strftime_now"] = self._settings.date.strftime
            text: str = self._tokenizer.apply_chat_template(
                turns,
                tools=schemas,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=asks,
                **self._settings.chat_template_kwargs,
            )
        except Exception as error:  # a template is foreign code and may raise anything
            why = " ".join(f"{error}".split())[:200] or type(error).__name__
            raise Unrenderable(
                f"the chat template refuses it ({why}); write the turns as the template takes them, or set "
                "chat_template under [model]"
            ) from None
        return text

    def _require_all(self, asked: Messages, side: Messages, tools: str, text: str) -> None:
        """Unrenderable if the template silently leaves out a turn's content or name, a call or a tool.

        ``text``: the rendered side, or the rendered question if there is no side.
        """
        for turn in side or asked:
            content = str(turn["content"])
            parts = {f"{turn['role']} turn": content}
            if not side and turn["role"] == "assistant":
                parts = {"assistant turn": without_thoughts(content)}  # templates may leave out earlier thoughts
            elif side:
                parts["reasoning_content"] = str(turn.get("reasoning_content") or "")
            for what, part in parts.items():
                if not _is_rendered(part, text):
                    raise Unrenderable(_left_out(what, part))
        key = (structure(asked), structure(side), tools)
        if key not in self._left_out:
            self._left_out[key] = self._first_left_out(asked, side, tools)
        place = self._left_out[key]
        if place is not None:
            what, part, _ = MarkedParts(asked, side, tools).parts[place]
            raise Unrenderable(_left_out(what, part))

    def _first_left_out(self, asked: Messages, side: Messages, tools: str) -> int | None:
        """The first part that the template leaves out in turns of this structure, found by unique words."""
        marked = MarkedParts(asked, side, tools)
        try:
            text = self._rendered(marked.turns, marked.tools, not side).casefold()
        except Unrenderable:
            return None  # the template may only accept tools with certain names
        return next((place for place, (_, _, word) in enumerate(marked.parts) if word not in text), None)


def _left_out(what: str, part: str) -> str:
    return (
        f"the chat template leaves its {what} out ({' '.join(part.split())[:60]!r}); take that out of the row, or set "
        "a chat_template under [model] that writes it"
    )


def _is_rendered(part: str, text: str) -> bool:
    """Whether the text contains the part: unchanged, escaped as in JSON, or with other white space."""
    part = part.strip()
    if not part or part in text or json.dumps(part, ensure_ascii=False)[1:-1] in text or json.dumps(part)[1:-1] in text:
        return True
    return "".join(part.split()) in "".join(text.split())


def question_is_no_prefix(question: str, whole: str) -> str:
    """The message for a template that renders a question differently when its answer follows, with both renderings."""
    asked, trained = excerpts(question, whole)
    return (
        f"the chat template asks with ...{asked}... and renders the row as ...{trained}..., so what is trained is "
        "never asked; set chat_template_kwargs under [model] (say enable_thinking = false), or chat_template"
    )


def texts_of(text: Turns, tools: str = "") -> Sequence[str]:
    """All texts of one side of a row: contents, other keys of the turns, and tools."""
    if isinstance(text, str):
        return [text, tools]
    return [tools, *(part for turn in text for part in (turn.content, turn.more))]
