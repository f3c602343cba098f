"""Rows and questions as token ids: the one place where a text becomes ids, for training, for answering here, for a
server and for ``evaluate``.

The law: the ids that are asked are the ids that are trained as prompt. A plain prompt begins with what the tokenizer
writes before a text (BOS, where it writes one), a conversation with what its template writes, and never with two BOS.
An answer goes on from there, ends with the end of turn that the template writes (else with the tokenizer's eos), and
answering stops at that end.

Imports neither torch nor transformers: it is given a tokenizer.
"""

import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import chain, takewhile
from typing import Any

from probes.data import Pair
from probes.inputs.turns import Turns, messages, plain
from probes.scoring.thoughts import is_mark
from probes.settings import ModelSettings

Ids = list[int]
ANSWER = "Kumquats zigzag."  # stands for an answer, to see what a template writes around one
BATCH = 512  # texts that are tokenised at once
CONTEXT = 8  # tokens of the question that an answer's first pieces are decoded with
ANCHORS = ("\n", "x", ".")  # texts behind which an answer is tokenised as a continuation
TRANSCRIPT = re.compile(r"(?:^|\n)(?:Human|User): .*\n(?:Assistant|AI):\s*\Z", re.DOTALL)


class Unrenderable(Exception):
    """A row or prompt that this tokenizer or template cannot take, or would turn into something else; says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt as the model is asked it. ``text`` has its special tokens; ``ids`` begin with BOS where there is one."""

    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A row as it is trained: the question's ids, and what follows them on either side, both with their end."""

    prompt: Ids
    chosen: Ids
    rejected: Ids

    @property
    def length(self) -> int:
        """Tokens of the longer side, with the question."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))


@dataclass(frozen=True, slots=True)
class Stop:
    """Where an answer ends: at one of these token ids, or before one of these texts."""

    ids: tuple[int, ...]
    texts: tuple[str, ...] = ()


_RowTexts = tuple[str, str, str]
_Batch = tuple[Sequence[_RowTexts | Unrenderable], "Future[list[Ids]]"]
"""Rows that are rendered, and the ids of those that could be, which are under way."""


class Renderer:
    """A tokenizer with the chat settings of a study. ``chat``: whether prompts are asked as a conversation."""

    def __init__(self, tokenizer: Any, settings: ModelSettings, template: str | None = None) -> None:
        """``template``: a chat template in place of the tokenizer's own."""
        self.tokenizer, self._settings = tokenizer, settings
        self.chat = settings.chat == "auto" and (template or tokenizer.chat_template) is not None
        self._template = dated(template or tokenizer.get_chat_template(), settings.date) if self.chat else None
        self._questions: dict[tuple[Turns, str], Question] = {}

    # questions

    def question(self, asked: Turns, tools: str = "") -> Question:
        """A prompt as it is asked; Unrenderable where it cannot be."""
        known = self._questions.get((asked, tools))
        if known is None:
            text = self.question_text(asked, tools)
            known = self._questions[asked, tools] = Question(text, tuple(self._ids([text])[0]))
        return known

    def question_text(self, asked: Turns, tools: str = "") -> str:
        self._require_unrendered(asked)
        if self.chat:
            return self._templated(messages(asked, "user"), tools, True)
        return self._plain(asked)

    # rows

    def row(self, pair: Pair) -> TokenRow:
        """Unrenderable for a row that cannot be trained as it is meant."""
        (found,) = self.rows([pair])
        if isinstance(found, Unrenderable):
            raise found
        return found

    def rows(self, pairs: Sequence[Pair]) -> Iterator[TokenRow | Unrenderable]:
        """Each pair as token ids, or why it has none, in order. A batch is tokenised while the next is rendered."""
        with ThreadPoolExecutor(1) as pool:
            batch: _Batch | None = None
            for start in range(0, len(pairs), BATCH):
                texts = [self._row_texts(pair) for pair in pairs[start : start + BATCH]]
                whole = [one for one in texts if not isinstance(one, Unrenderable)]
                flat = list(chain.from_iterable((p, p + c, p + r) for p, c, r in whole))
                before, batch = batch, (texts, pool.submit(self._ids, flat))
                yield from self._token_rows(before)
            yield from self._token_rows(batch)

    def _token_rows(self, batch: "_Batch | None") -> Iterator[TokenRow | Unrenderable]:
        texts, ids = ((), iter(())) if batch is None else (batch[0], iter(batch[1].result()))
        for one in texts:
            yield one if isinstance(one, Unrenderable) else self._token_row(one, next(ids), next(ids), next(ids))

    def _row_texts(self, pair: Pair) -> _RowTexts | Unrenderable:
        """Question and both answers, which continue it."""
        try:
            question = self.question_text(pair.prompt, pair.tools)
            return question, self._answer(pair, pair.chosen, question), self._answer(pair, pair.rejected, question)
        except Unrenderable as error:
            return error

    def _answer(self, pair: Pair, side: Turns, question: str) -> str:
        """What follows the question, up to the end of the last turn."""
        self._require_unrendered(side)
        if not self.chat:
            return self._plain(side)
        told = [*messages(pair.prompt, "user"), *messages(side, "assistant")]
        whole = self._templated(told, pair.tools, False)
        if not whole.startswith(question):
            raise Unrenderable(no_prefix(question, whole))
        return whole[len(question) :]

    def _token_row(
        self, texts: tuple[str, str, str], prompt: Ids, chosen: Ids, rejected: Ids
    ) -> TokenRow | Unrenderable:  # fmt: skip
        question, *answers = texts
        sides = [
            self._ended(self._continued(question, prompt, answer, whole))
            for answer, whole in zip(answers, (chosen, rejected), strict=True)
        ]
        if None in sides:
            return Unrenderable("its answer merges with its prompt into one token, so no ids continue the question")
        if sides[0] == sides[1]:
            return Unrenderable(
                "chosen and rejected are the same tokens once they are rendered; a pair needs a difference"
            )
        return TokenRow(prompt, *sides)  # type: ignore[arg-type]

    def _continued(self, question: str, prompt: Ids, answer: str, whole: Ids) -> Ids | None:
        """The ids of an answer behind the question's own ids, where tokens of both may not merge. None where no
        tokenisation of the answer gives its text."""
        if whole[: len(prompt)] == prompt:
            return whole[len(prompt) :]
        for anchor in ("", *ANCHORS):
            head, both = (self._bare([text])[0] for text in (anchor, anchor + answer))
            found = both[len(head) :]
            if both[: len(head)] == head and self._said(prompt, found) == answer:
                return found
        return None

    def _said(self, prompt: Ids, answer: Ids) -> str:
        """The text of an answer's ids behind its question's."""
        for before in (prompt[-CONTEXT:], prompt):
            text, both = self._decode(before), self._decode(before + answer)
            if "\ufffd" not in text and both.startswith(text):
                break  # else the few tokens begin in the middle of a character
        return both[len(text) :]

    def ends(self, answer: Ids) -> bool:
        """Whether an answer ends with one of the tokens that end one."""
        return bool(answer) and answer[-1] in self.stop.ids

    def _ended(self, answer: Ids | None) -> Ids | None:
        """Up to its end, without what a template writes behind that, which nobody is asked for; with an eos where it
        has no end."""
        if answer is None:
            return None
        ends, start = self.stop.ids, len(answer)
        while start and (answer[start - 1] in ends or not self._decode([answer[start - 1]]).strip()):
            start -= 1
        end = next((place for place in range(start, len(answer)) if answer[place] in ends), None)
        if end is not None:
            return answer[: end + 1]
        eos = self.tokenizer.eos_token_id
        return answer if eos is None else [*answer, eos]

    # answers

    @cached_property
    def stop(self) -> Stop:
        """The end of turn that the template writes, the tokenizer's eos, and a template's end that is no token."""
        eos = self.tokenizer.eos_token_id
        ids, text = [eos] if eos is not None else [], ""
        if self.chat:
            _, written = self._around
            special = [token for token in self._bare([written])[0] if token in self._control.values()]
            ids += special[:1]
            text = "" if special else written.rstrip()
        return Stop(tuple(dict.fromkeys(ids)), (text,) if text else ())

    @cached_property
    def _around(self) -> tuple[str, str]:
        """What the template writes between a question and its answer, and behind the answer."""
        asked = [{"role": "user", "content": "Hello."}]
        before, _, behind = self._templated([*asked, {"role": "assistant", "content": ANSWER}], "", False).rpartition(
            ANSWER
        )
        question = self._templated(asked, "", True)
        return before[len(question) :] if before.startswith(question) else "", behind

    def answer(self, question: Question, ids: Sequence[int]) -> str:
        """The content of the tokens that were drawn behind a question, up to where they stop, without special tokens
        but those that mark thoughts. They are decoded behind it: a decoder takes the first blank off a text that stands
        alone."""
        special = {number for text, number in self._control.items() if not is_mark(text)}
        drawn = [token for token in takewhile(lambda token: token not in self.stop.ids, ids) if token not in special]
        return self.content(self._said(list(question.ids), drawn))

    def content(self, text: str) -> str:
        """Of a text that continues a question, what a row has as its answer, without what the template writes."""
        for end in self.stop.texts:
            text = text.partition(end)[0]
        return text.removeprefix(self._around[0]) if self.chat else text

    # the tokenizer

    @cached_property
    def bos(self) -> Ids:
        """What the tokenizer writes before a text by itself."""
        alone, written = self._bare(["x"])[0], list(self.tokenizer("x")["input_ids"])
        places = range(len(written) - len(alone) + 1)
        return written[: next((at for at in places if written[at : at + len(alone)] == alone), 0)]

    @cached_property
    def _control(self) -> dict[str, int]:
        """Special tokens by their text: those that are marked as such, and those that have a name (bos, eos, ...)."""
        added = self.tokenizer.added_tokens_decoder
        found = {str(token): number for number, token in added.items() if token.special}
        return found | dict(zip(self.tokenizer.all_special_tokens, self.tokenizer.all_special_ids, strict=True))

    @cached_property
    def _controls(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._control)) or r"(?!)")

    def _bare(self, texts: Sequence[str]) -> list[Ids]:
        """Without what the tokenizer adds. A tokenizer of the tokenizers library is asked itself: twice as fast."""
        if not texts:
            return []
        if (backend := getattr(self.tokenizer, "backend_tokenizer", None)) is not None:
            backend.no_truncation()
            backend.no_padding()
            return [one.ids for one in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        found: list[Ids] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return found

    def _ids(self, texts: Sequence[str]) -> list[Ids]:
        """With one BOS where the tokenizer writes one, also where a text brings its own."""
        return [ids if ids[: len(self.bos)] == self.bos else [*self.bos, *ids] for ids in self._bare(texts)]

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def _templated(self, turns: list[dict[str, Any]], tools: str, asks: bool) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self.tokenizer.apply_chat_template(
                turns, tools=json.loads(tools) if tools else None, chat_template=self._template, tokenize=False,
                add_generation_prompt=asks, **self._settings.chat_template_kwargs,
            )  # fmt: skip
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise Unrenderable(f"the chat template refuses it ({' '.join(str(error).split())[:200]})") from None
        return text

    def _plain(self, text: Turns) -> str:
        if isinstance(text, str):
            return text
        why = "the tokenizer has no chat template" if self._settings.chat == "auto" else '[model] chat is "never"'
        raise Unrenderable(f"it is a conversation and {why}; set chat_template under [model], or give plain texts")

    def _require_unrendered(self, text: Turns) -> None:
        """Where a template writes the special tokens, a text that has them was rendered before."""
        if not self.chat:
            return
        if found := self._controls.search(plain(text)):
            raise Unrenderable(
                f"it holds {found[0]!r}, a special token that the chat template writes; take it out, or set "
                'chat = "never" under [model] for texts that are rendered already'
            )
        if isinstance(text, str) and TRANSCRIPT.search(text):
            raise Unrenderable(
                "its text is a transcript that ends with the assistant's name, which the chat template would put into "
                'the user\'s turn; write turns (docs/data.md), or set chat = "never" under [model]'
            )


def dated(template: str, today: date) -> str:
    """A chat template with a fixed date where it asks for today's: what is trained tonight is asked tomorrow."""

    def told(call: re.Match[str]) -> str:
        return repr(today.strftime(call[2]))

    return re.sub(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""", told, template)


def no_prefix(question: str, whole: str) -> str:
    """Of a template whose question is no beginning of the question with its answer, with both renderings."""
    at = next(
        (n for n, (a, b) in enumerate(zip(question, whole, strict=False)) if a != b), min(map(len, (question, whole)))
    )
    shown = [repr(text[max(0, at - 60) : at + 60]) for text in (question, whole)]
    return (
        f"the chat template asks with ...{shown[0]}... and renders the row as ...{shown[1]}..., so what is trained is "
        "never asked; set chat_template_kwargs under [model] (say enable_thinking = false), or chat_template"
    )
