"""Rows and questions as token ids: the one place where a text becomes ids, for training, for answering here, for a
server and for ``evaluate``.

The law: the ids that are asked are the ids that are trained as prompt. A plain prompt begins with what the tokenizer
writes before a text (BOS, where it writes one), a conversation with what its template writes, and never with two BOS.
An answer goes on from there, ends with the end of turn that the template writes (else with the tokenizer's eos), and
answering stops at that end.

Imports neither torch nor transformers: it is given a tokenizer. (A chat template is compiled by transformers.)
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, takewhile
from typing import Any

from probes.inputs.settings import ModelSettings
from probes.inputs.training_rows import Pair
from probes.inputs.turns import Turns
from probes.rendering.chat_template import ChatTemplate, texts_of
from probes.rendering.chat_template import Unrenderable as Unrenderable
from probes.rendering.rendered_texts import is_transcript, marker_in
from probes.rendering.tokenizer import Ids, Tokens

BATCH = 512  # rows that are tokenised at once
LONGEST = 4_000_000  # characters of a row; a tokenizer takes a gigabyte for each ten million
ANCHORS = ("\n", "x", ".")  # texts behind which an answer is tokenised as a continuation


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
        self.tokenizer, self.tokens, self._settings = tokenizer, Tokens(tokenizer), settings
        self.chat = settings.chat == "auto" and (template is not None or tokenizer.chat_template is not None)
        self._template = ChatTemplate(tokenizer, settings, template)
        self._questions: dict[tuple[Turns, str], Question] = {}

    # questions

    def question(self, asked: Turns, tools: str = "") -> Question:
        """A prompt as it is asked; Unrenderable where it cannot be."""
        known = self._questions.get((asked, tools))
        if known is None:
            text = self.question_text(asked, tools)
            known = self._questions[asked, tools] = Question(text, tuple(self.tokens.ids([text])[0]))
        return known

    def question_text(self, asked: Turns, tools: str = "") -> str:
        self._require_unrendered(asked, tools)
        if self.chat and is_transcript(asked):
            raise Unrenderable(
                "its prompt is a dialogue in one text with the speakers' names, which the chat template would put into "
                'the user\'s turn; write turns (docs/data.md has the script), or set chat = "never" under [model]'
            )
        return self._template.question(asked, tools) if self.chat else self._plain(asked)

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
                before, batch = batch, (texts, pool.submit(self.tokens.ids, flat))
                yield from self._token_rows(before)
            yield from self._token_rows(batch)

    def _token_rows(self, batch: "_Batch | None") -> Iterator[TokenRow | Unrenderable]:
        texts, ids = ((), iter(())) if batch is None else (batch[0], iter(batch[1].result()))
        for one in texts:
            try:
                if isinstance(one, Unrenderable):
                    raise one
                row = self._token_row(one, next(ids), next(ids), next(ids))
            except Unrenderable as error:
                yield error
            else:
                yield row

    def _row_texts(self, pair: Pair) -> _RowTexts | Unrenderable:
        """Question and both answers, which continue it."""
        if pair.length > LONGEST:
            return Unrenderable(f"it has {pair.length} characters, and a row has at most {LONGEST}; shorten it")
        try:
            question = self.question_text(pair.prompt, pair.tools)
            return question, self._answer(pair, pair.chosen, question), self._answer(pair, pair.rejected, question)
        except Unrenderable as error:
            return error

    def _answer(self, pair: Pair, side: Turns, question: str) -> str:
        self._require_unrendered(side)
        return self._template.answer(pair.prompt, side, pair.tools, question) if self.chat else self._plain(side)

    def _token_row(self, texts: _RowTexts, prompt: Ids, chosen: Ids, rejected: Ids) -> TokenRow:
        sides = [
            self._ended(self._continued(prompt, answer, whole))
            for answer, whole in zip(texts[1:], (chosen, rejected), strict=True)
        ]
        if not self.chat and any(token in self.stop.ids for side in sides for token in side[:-1]):
            raise Unrenderable("an end of text stands in the middle of its answer, where answering stops; take it out")
        if sides[0] == sides[1]:
            raise Unrenderable(
                "chosen and rejected are the same tokens once they are rendered; a pair needs a difference"
            )
        return TokenRow(prompt, sides[0], sides[1])

    def _continued(self, prompt: Ids, answer: str, whole: Ids) -> Ids:
        """The ids of an answer behind the question's own ids, where tokens of both may not merge."""
        unknown = prompt[-1:] == [self.tokenizer.unk_token_id]  # which may have swallowed some of the answer
        if whole[: len(prompt)] == prompt and not unknown:
            return whole[len(prompt) :]
        for anchor in ("", *ANCHORS):
            head, both = (self.tokens.bare([text])[0] for text in (anchor, anchor + answer))
            found = both[len(head) :]
            if both[: len(head)] == head and self.tokens.continuation(prompt, found) == answer:
                return found
        raise Unrenderable(
            "its answer has characters that the tokenizer does not know where it meets the prompt, so no ids continue "
            "the question"
            if unknown
            else "its answer and its prompt merge into one token, so no ids continue the question"
        )

    def _ended(self, answer: Ids) -> Ids:
        """Up to its end, without what a template writes behind that, which nobody is asked for; with an eos where it
        has no end."""
        ends, start = self.stop.ids, len(answer)
        while start and (answer[start - 1] in ends or not self.tokens.text([answer[start - 1]]).strip()):
            start -= 1
        end = next((place for place in range(start, len(answer)) if answer[place] in ends), None)
        if end is not None:
            return answer[: end + 1]
        eos = self.tokenizer.eos_token_id
        return answer if eos is None else [*answer, eos]

    # answers

    @property
    def closes(self) -> bool:
        """Whether the template writes an end of turn; where it writes none, the tokenizer's eos is put there."""
        return not self.chat or bool(self._template.around[1].strip())

    @cached_property
    def stop(self) -> Stop:
        """The end of turn that the template writes, the tokenizer's eos, and a template's end that is no token."""
        eos = self.tokenizer.eos_token_id
        ids, text = [eos] if eos is not None else [], ""
        if self.chat:
            _, written = self._template.around
            special = [token for token in self.tokens.bare([written])[0] if token in self.tokens.special.values()]
            ids += special[:1]
            text = "" if special else written.rstrip()
        return Stop(tuple(dict.fromkeys(ids)), (text,) if text else ())

    def answer(self, question: Question, ids: Sequence[int]) -> str:
        """The content of the tokens that were drawn behind a question, up to where they stop, without special tokens
        but those that mark thoughts. They are decoded behind it: a decoder takes the first blank off a text that stands
        alone."""
        unsaid = set(self.tokens.unsaid.values())
        drawn = [token for token in takewhile(lambda token: token not in self.stop.ids, ids) if token not in unsaid]
        return self.content(self.tokens.continuation(list(question.ids), drawn))

    def content(self, text: str) -> str:
        """Of a text that continues a question, what a row has as its answer, without what the template writes."""
        for end in self.stop.texts:
            text = text.partition(end)[0]
        for unsaid in self.tokens.unsaid:
            text = text.replace(unsaid, "")
        return text.removeprefix(self._template.around[0]) if self.chat else text

    # what is refused

    def _plain(self, text: Turns) -> str:
        if isinstance(text, str):
            return text
        why = "the tokenizer has no chat template" if self._settings.chat == "auto" else '[model] chat is "never"'
        raise Unrenderable(f"it is a conversation and {why}; set chat_template under [model], or give plain texts")

    @cached_property
    def _written(self) -> re.Pattern[str]:
        """What the template writes and no text may hold: special tokens, others of its own, and where answers stop."""
        template = "".join(self._template.sample) if self.chat else ""
        texts = [*self.tokens.unsaid, *(text for text in self.tokens.added if text in template), *self.stop.texts]
        return re.compile("|".join(map(re.escape, texts)) or r"(?!)")

    def _require_unrendered(self, text: Turns, tools: str = "") -> None:
        """Where a template writes special tokens, a text that has them was rendered before."""
        if not self.chat:
            return
        for part in texts_of(text, tools):
            if found := self._written.search(part):
                raise Unrenderable(
                    f"it holds {found[0]!r}, which the chat template writes itself; take it out, or set "
                    'chat = "never" under [model] for texts that are rendered already'
                )
            if marker := marker_in(part):
                raise Unrenderable(
                    f"it holds {marker[0]!r}, as texts do that were rendered already for {marker[1]}, and the chat "
                    "template would put it into a turn; write the row as turns (docs/data.md), or set chat = "
                    '"never" under [model]'
                )
