"""Renders rows and questions as token ids. Training, generation, a server and ``evaluate`` all get their ids here.

The prompt ids of training and of generation are the same. A plain prompt begins with the tokenizer's BOS, if it writes
one; a conversation begins with what its template writes; neither has two BOS. An answer continues the prompt and ends
with the template's end of turn, or else with the tokenizer's eos. Generation stops at that end.

This module gets a tokenizer and imports neither torch nor transformers. (transformers compiles a chat template.)
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

from common.errors import BadInput
from common.wording import nearest
from probes.inputs.rows.turns import Turns
from probes.inputs.settings import FIXED_DATE, RENDERING, ModelSettings
from probes.inputs.training_rows import TrainingRow
from probes.rendering.chat_template import ChatTemplate, texts_of
from probes.rendering.chat_template import Unrenderable as Unrenderable
from probes.rendering.rendered_texts import is_transcript, marker_in
from probes.rendering.same_text import contents, difference, text_changes
from probes.rendering.tokenizer import Ids, Tokens, any_of

BATCH = 128  # rows that are tokenised together; larger batches are slower, because they exceed the processor's cache
LONGEST = 4_000_000  # characters of a row; a tokenizer needs a gigabyte for each ten million
ANCHORS = ("\n", "x", ".")  # texts after which an answer is tokenised as a continuation


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A rendered prompt. ``text`` includes its special tokens; ``ids`` begin with BOS if there is one."""

    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A training row: the ids of the prompt, and of both answers with their ends."""

    prompt: Ids
    chosen: Ids
    rejected: Ids

    @property
    def length(self) -> int:
        """Tokens of the prompt and the longer answer."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))


@dataclass(frozen=True, slots=True)
class AnswerEnds:
    """Ends of an answer: it ends at one of these token ids, or before one of these texts."""

    ids: tuple[int, ...]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _RowTexts:
    """A rendered row: the question, and both answers, which continue it."""

    pair: TrainingRow
    question: str
    answers: tuple[str, str]


_Side = tuple[Ids, str] | None
"""The ids that continue the question, and their text; None if a token would contain characters of both."""
_Encoded = tuple[Ids, list[_Side]]
"""The ids of a question, and both sides."""
_Batch = tuple[Sequence[_RowTexts | Unrenderable], "Future[list[_Encoded]]"]
"""Rendered rows, and the future ids of those without an error."""


class Renderer:
    """A tokenizer with the chat settings of a study. ``chat``: prompts are rendered as conversations."""

    def __init__(self, tokenizer: Any, settings: ModelSettings, template: str | None = None) -> None:
        """``template`` replaces the tokenizer's chat template."""
        self.tokenizer, self.tokens, self._settings = tokenizer, Tokens(tokenizer), settings
        self.chat = settings.chat == "auto" and (template is not None or tokenizer.chat_template is not None)
        self._template = ChatTemplate(tokenizer, settings, template)
        self._questions: dict[tuple[Turns, str], RenderedPrompt] = {}

    @property
    def own_date(self) -> str:
        """The date that the template writes, if the study sets another than the default."""
        date = self._settings.date
        return f"{date}" if date != FIXED_DATE and self.chat and self._template.asks_for_date else ""

    # questions

    def question(self, asked: Turns, tools: str = "") -> RenderedPrompt:
        """The rendered prompt; Unrenderable if it cannot be rendered."""
        known = self._questions.get((asked, tools))
        if known is None:
            text = self.question_text(asked, tools)
            known = RenderedPrompt(text, tuple(self.tokens.ids([text])[0]))
            self._require_one_bos(asked, known.ids)
            self._questions[asked, tools] = known
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

    def row(self, pair: TrainingRow) -> TokenRow:
        """A row as token ids; Unrenderable if training on them would not do what the row means."""
        (row,) = self.rows([pair])
        if isinstance(row, Unrenderable):
            raise row
        return row

    def rows(self, pairs: Sequence[TrainingRow]) -> Iterator[TokenRow | Unrenderable]:
        """``row`` or its error for each pair, in order. A batch is tokenised while the next one is rendered."""
        with ThreadPoolExecutor(1) as pool:
            batch: _Batch | None = None
            for start in range(0, len(pairs), BATCH):
                texts = [self._row_texts(pair) for pair in pairs[start : start + BATCH]]
                valid = [row for row in texts if not isinstance(row, Unrenderable)]
                before, batch = batch, (texts, pool.submit(self._encoded, valid))
                yield from self._token_rows(before)
            yield from self._token_rows(batch)

    def _token_rows(self, batch: "_Batch | None") -> Iterator[TokenRow | Unrenderable]:
        texts, encoded = ((), iter(())) if batch is None else (batch[0], iter(batch[1].result()))
        for row in texts:
            if isinstance(row, Unrenderable):
                yield row
                continue
            prompt, sides = next(encoded)
            try:
                yield self._token_row(row, prompt, sides)
            except Unrenderable as error:
                yield error

    def _row_texts(self, pair: TrainingRow) -> _RowTexts | Unrenderable:
        """The texts of the question and of both answers, which continue it."""
        if pair.length > LONGEST:
            return Unrenderable(f"it has {pair.length} characters, and a row has at most {LONGEST}; shorten it")
        try:
            question = self.question_text(pair.prompt, pair.tools)
            answers = self._answer(pair, pair.chosen, question), self._answer(pair, pair.rejected, question)
        except Unrenderable as error:
            return error
        return _RowTexts(pair, question, answers)

    def _answer(self, pair: TrainingRow, side: Turns, question: str) -> str:
        self._require_unrendered(side)
        return self._template.answer(pair.prompt, side, pair.tools, question) if self.chat else self._plain(side)

    def _encoded(self, rows: Sequence[_RowTexts]) -> list[_Encoded]:
        """The ids of rows, and the texts of these ids. An answer is tokenised after the end of its question alone, so
        that the question is tokenised once."""
        bare = self.tokens.bare([row.question for row in rows])
        prompts = [self.tokens.with_bos(ids) for ids in bare]
        tails = [self.tokens.tail(row.question, ids) for row, ids in zip(rows, bare, strict=True)]
        answers = [
            (prompt, tail, answer)
            for row, prompt, tail in zip(rows, prompts, tails, strict=True)
            for answer in row.answers
        ]
        encoded = self.tokens.bare([tail + answer for _, (tail, _), answer in answers])
        continued = [
            both[len(head) :] if both[: len(head)] == head else None
            for (_, (_, head), _), both in zip(answers, encoded, strict=True)
        ]
        pairs = [(prompt, ids) for (prompt, *_), ids in zip(answers, continued, strict=True) if ids is not None]
        texts = iter(self.tokens.continuations(pairs))
        sides = [None if ids is None else (ids, next(texts)) for ids in continued]
        return [(prompt, sides[2 * number : 2 * number + 2]) for number, prompt in enumerate(prompts)]

    def _token_row(self, texts: _RowTexts, prompt: Ids, encoded: Sequence[_Side]) -> TokenRow:
        pair = texts.pair
        self._require_one_bos(pair.prompt, prompt)
        sides = zip(texts.answers, (pair.chosen, pair.rejected), encoded, strict=True)
        chosen, rejected = (self._ended(self._continued(prompt, *side)) for side in sides)
        if not self.chat and any(token in self.stop.ids for side in (chosen, rejected) for token in side[:-1]):
            raise Unrenderable("an end of text stands in the middle of its answer, where answering stops; take it out")
        if chosen == rejected:
            raise Unrenderable(
                "chosen and rejected are the same tokens once they are rendered; a pair needs a difference"
            )
        return TokenRow(prompt, chosen, rejected)

    def _continued(self, prompt: Ids, answer: str, turns: Turns, encoded: _Side) -> Ids:
        """The ids of the answer after the prompt's ids. Unrenderable if a token would contain characters of both, or if
        the text of the ids is not the answer."""
        unknown = prompt[-1:] == [self.tokenizer.unk_token_id]  # the unknown token may cover a part of the answer
        if encoded is not None:
            ids, text = encoded
            differs = self._difference(answer, self.tokens.without_own_blanks(prompt, text), turns)
            if differs is None:
                return ids
            if not unknown:
                raise Unrenderable(text_changes(*differs))
        for anchor in ("", *ANCHORS):
            head, both = (self.tokens.bare([text])[0] for text in (anchor, anchor + answer))
            ids = both[len(head) :]
            text = self.tokens.without_own_blanks(prompt, self.tokens.continuation(prompt, ids))
            if both[: len(head)] == head and text == answer:
                return ids
        raise Unrenderable(
            "its answer has characters that the tokenizer does not know where it meets the prompt, so no ids continue "
            "the question"
            if unknown
            else "its answer and its prompt merge into one token, so no ids continue the question"
        )

    def _difference(self, answer: str, decoded: str, turns: Turns) -> tuple[str, str] | None:
        """Where a rendered answer and the text of its ids differ, or None. White space of the template that the
        tokenizer removes beside special tokens is no difference."""
        if decoded == answer:
            return None
        first = [self.content(self._ends.split(text, maxsplit=1)[0]) for text in (answer, decoded)]
        row = contents(turns) if self.chat else [answer]
        return difference((first[0], first[1]), (answer, decoded), row, self.tokens.split_pattern)

    def _ended(self, answer: Ids) -> Ids:
        """The answer up to its end, without what a template writes after that; with eos if it has no end."""
        ends, start = self.stop.ids, len(answer)
        while start and (answer[start - 1] in ends or self.tokens.is_white(answer[start - 1])):
            start -= 1
        end = next((place for place in range(start, len(answer)) if answer[place] in ends), None)
        if end is not None:
            return answer[: end + 1]
        eos = self.tokenizer.eos_token_id
        return answer if eos is None else [*answer, eos]

    # answers

    @property
    def ends_turns(self) -> bool:
        """Whether answers have an end of turn from the template; otherwise they get the tokenizer's eos."""
        return not self.chat or bool(self._template.around[1].strip())

    @cached_property
    def stop(self) -> AnswerEnds:
        """The template's end of turn, as a token or as a text, and the tokenizer's eos."""
        eos = self.tokenizer.eos_token_id
        ids, text = [eos] if eos is not None else [], ""
        if self.chat:
            _, written = self._template.around
            special = [token for token in self.tokens.bare([written])[0] if token in self.tokens.special.values()]
            ids += special[:1]
            text = "" if special else written.rstrip()
        return AnswerEnds(tuple(dict.fromkeys(ids)), (text,) if text else ())

    @cached_property
    def _ends(self) -> re.Pattern[str]:
        return any_of(self.tokens.text([token]) for token in self.stop.ids)

    def answer(self, question: RenderedPrompt, ids: Sequence[int]) -> str:
        """The text of generated tokens up to the stop, without special tokens except those that mark thoughts.

        They are decoded together with the question, because a decoder removes the first blank of a text.
        """
        drawn = list(takewhile(lambda token: token not in self.stop.ids, ids))
        return self.answer_text(question, self.tokens.continuation(list(question.ids), drawn))

    def holds_stop_text(self, question: RenderedPrompt, ids: Sequence[int]) -> bool:
        """Whether generated tokens hold an end of turn that is no token but a text."""
        text = self.tokens.continuation(list(question.ids), list(ids)) if self.stop.texts else ""
        return any(end in text for end in self.stop.texts)

    def answer_text(self, question: RenderedPrompt, text: str) -> str:
        """The answer in the decoded tokens that follow a question, which may come from a server: the text that the
        tokenizer would encode as these tokens, without what the template writes."""
        return self.content(self.tokens.without_own_blanks(question.ids, text))

    def content(self, text: str) -> str:
        """The answer in a text that continues a question, without what the template writes."""
        for end in self.stop.texts:
            text = text.partition(end)[0]
        for token in self.tokens.control:
            text = text.replace(token, "")
        return text.removeprefix(self._template.around[0]) if self.chat else text

    # refusals

    def require_known_kwargs(self) -> None:
        """BadInput for a key of chat_template_kwargs that has no effect."""
        for name in self._settings.chat_template_kwargs:
            if not self.chat:
                raise BadInput(
                    f"[model] chat_template_kwargs has {name!r}, and no chat template is used; take it out, or give one"
                )
            if name not in self._template.variables:
                known = sorted(self._template.variables - RENDERING - set(self.tokenizer.special_tokens_map))
                hint = nearest(name, known) if known else "; it reads none"
                raise BadInput(
                    f"[model] chat_template_kwargs has {name!r}, which the chat template never reads{hint}; rename it, "
                    "or take it out"
                )

    def _require_one_bos(self, asked: Turns, ids: Sequence[int]) -> None:
        """Unrenderable for a question of a template with two BOS at its beginning, or with one behind other text.

        The second may follow an earlier answer and its eos, as in Llama 2. A token that opens every turn may be called
        bos (SmolLM2): then neither the tokenizer nor the template writes it as BOS.
        """
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        if not self.chat or bos is None or not ids or (ids[0] == bos and ids.count(bos) == 1):
            return
        places = [place for place, token in enumerate(ids) if token == bos]
        doubled = len(places) > 1 and not self._has_text(ids[: places[1]])
        written = bos in self.tokens.bos or "bos_token" in self._template.variables
        answers = 0 if isinstance(asked, str) else sum(turn.role == "assistant" for turn in asked)
        later = [place for place in places if place]
        fits = len(later) <= answers and all(self._follows(ids, place, eos) for place in later)
        if doubled or (written and bos != eos and not fits):
            shown = self.tokens.text(ids[max(0, later[0] - 20) : later[0] + 10])
            where = "twice at the beginning of the prompt" if doubled else "within the prompt"
            raise Unrenderable(
                f"the BOS {self.tokenizer.bos_token!r} is written {where} ({shown!r}), and models are trained with one "
                "at its beginning; set a chat_template under [model] that writes it once, before all else"
            )

    def _has_text(self, ids: Sequence[int]) -> bool:
        """Whether ids hold more than white space and BOS."""
        bos = self.tokenizer.bos_token_id
        return bool(self.tokens.text([token for token in ids if token != bos]).strip())

    def _follows(self, ids: Sequence[int], place: int, eos: int | None) -> bool:
        """Whether the last token before a place is eos, white space aside."""
        before = list(takewhile(lambda token: token != eos, reversed(ids[:place])))
        return len(before) < place and not self.tokens.text(before[::-1]).strip()

    def _plain(self, text: Turns) -> str:
        if isinstance(text, str):
            return text
        why = "the tokenizer has no chat template" if self._settings.chat == "auto" else '[model] chat is "never"'
        raise Unrenderable(f"it is a conversation and {why}; set chat_template under [model], or give plain texts")

    @cached_property
    def _written(self) -> re.Pattern[str]:
        """Matches texts that only the template may write: special tokens, its added tokens, and ends of answers."""
        template = "".join(self._template.sample) if self.chat else ""
        texts = [*self.tokens.control, *(text for text in self.tokens.added if text in template), *self.stop.texts]
        return re.compile("|".join(map(re.escape, texts)) or r"(?!)")

    def _require_unrendered(self, text: Turns, tools: str = "") -> None:
        """Unrenderable for a text that has special tokens, since the template would write them once more."""
        if not self.chat:
            return
        for part in texts_of(text, tools):
            if match := self._written.search(part):
                raise Unrenderable(
                    f"it holds {match[0]!r}, which the chat template writes itself; take it out, or set "
                    'chat = "never" under [model] for texts that are rendered already'
                )
            if marker := marker_in(part):
                raise Unrenderable(
                    f"it holds {marker[0]!r}, as texts do that were rendered already for {marker[1]}, and the chat "
                    "template would put it into a turn; write the row as turns (docs/data.md), or set chat = "
                    '"never" under [model]'
                )
