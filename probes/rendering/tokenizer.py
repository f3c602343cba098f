"""The tokenizer functions that rendering needs: ids of texts with one BOS, texts of ids, and special tokens."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from probes.scoring.thoughts import is_thought_mark

Ids = list[int]
CONTEXT = 8  # tokens before a continuation with which it is decoded
TAIL = 16  # tokens at the end of a question in which an added token is searched
BLANK_SAMPLE = 64  # characters of a text that show whether the tokenizer writes its first blank


class Tokens:
    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._tails: dict[str, Ids] = {}
        self._white: dict[int, bool] = {}

    @property
    def _backend(self) -> Any:
        """The tokenizer of the tokenizers library, or None. It is called directly, which is twice as fast, and encodes
        a batch on all cores while other Python threads run."""
        return getattr(self.tokenizer, "backend_tokenizer", None)

    # ids

    def bare(self, texts: Sequence[str]) -> list[Ids]:
        """Ids without what the tokenizer adds."""
        if not texts:
            return []
        if (backend := self._backend) is not None:
            backend.no_truncation()
            backend.no_padding()
            return [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        ids: list[Ids] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Ids that begin with exactly one BOS, if the tokenizer writes one, also for a text that has its own."""
        return [self.with_bos(ids) for ids in self.bare(texts)]

    def with_bos(self, ids: Ids) -> Ids:
        return ids if ids[: len(self.bos)] == self.bos else [*self.bos, *ids]

    @cached_property
    def bos(self) -> Ids:
        """The ids that the tokenizer adds before a text."""
        alone, written = self.bare(["x"])[0], list(self.tokenizer("x")["input_ids"])
        places = range(len(written) - len(alone) + 1)
        return written[: next((at for at in places if written[at : at + len(alone)] == alone), 0)]

    def tail(self, text: str, ids: Ids) -> tuple[str, Ids]:
        """The end of a text from its last added token on, and its ids. A continuation has the same ids after this end
        as after the whole text, because tokenizers split texts at added tokens first. If no added token is near the
        end, the whole text."""
        for place in range(len(ids) - 1, max(len(ids) - TAIL, 0) - 1, -1):
            if (token := self._splitting.get(ids[place])) is not None:
                tail = text[max(text.rfind(token), 0) :]
                if tail not in self._tails:
                    self._tails[tail] = self.bare([tail])[0]
                return (tail, ids[place:]) if self._tails[tail] == ids[place:] else (text, ids)
        return text, ids

    # texts

    def text(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def is_white(self, token: int) -> bool:
        if token not in self._white:
            self._white[token] = not self.text([token]).strip()
        return self._white[token]

    def continuation(self, before: Ids, ids: Ids) -> str:
        """The text of ids that follow others, decoded together, because a decoder removes the first blank of a text."""
        for context in (before[-CONTEXT:], before):
            text, both = self.text(context), self.text(context + ids)
            if "\ufffd" not in text and both.startswith(text):
                break  # otherwise the context begins in the middle of a character
        return both[len(text) :]

    def continuations(self, pairs: Sequence[tuple[Ids, Ids]]) -> list[str]:
        """The continuation of each pair."""
        if self._backend is None or not pairs:
            return [self.continuation(*pair) for pair in pairs]
        wholes = self._backend.decode_batch([before[-CONTEXT:] + ids for before, ids in pairs], False)
        heads: dict[tuple[int, ...], str] = {}
        texts = []
        for (before, ids), whole in zip(pairs, wholes, strict=True):
            context = tuple(before[-CONTEXT:])
            if context not in heads:
                heads[context] = self.text(context)
            head = heads[context]
            decodable = "\ufffd" not in head and whole.startswith(head)
            texts.append(whole[len(head) :] if decodable else self.continuation(before, ids))
        return texts

    def without_own_blanks(self, before: Sequence[int], text: str) -> str:
        """The text that the tokenizer would encode as the ids of a continuation: without the blank that some tokenizers
        (Llama 2, Phi-3) write at the beginning of a text, also after a special token."""
        if not self._blank_after:
            return text
        pieces = any_of(self._blank_after).split(text)
        pieces.insert(0, self._added.get(before[-1], "") if before else "")
        for place in range(1, len(pieces), 2):
            if self._is_own_blank(pieces[place - 1], pieces[place]):
                pieces[place] = pieces[place][1:]
        return "".join(pieces[1:])

    def _is_own_blank(self, token: str, text: str) -> bool:
        """Whether the tokenizer wrote the first blank of a text after an added token: the text without the blank has
        the same ids, or no text has them."""
        if token not in self._blank_after or not text.startswith(" "):
            return False
        sample = text[:BLANK_SAMPLE]
        for candidate, own in ((sample[1:], True), (sample, False)):
            ids = self.bare([token + candidate])[0]
            if self.continuation(ids[:1], ids[1:])[: BLANK_SAMPLE // 2] == sample[: BLANK_SAMPLE // 2]:
                return own
        return True

    @cached_property
    def _blank_after(self) -> frozenset[str]:
        """The added tokens after which the tokenizer writes a blank of its own."""
        encoded = self.bare([f"{text}x" for text in self._added.values()])
        return frozenset(
            text
            for (token, text), ids in zip(self._added.items(), encoded, strict=True)
            if ids[:1] == [token] and self.continuation([token], ids[1:]) == " x"
        )

    # added tokens

    @cached_property
    def _added(self) -> Mapping[int, str]:
        """All tokens that were added to the vocabulary, with their texts."""
        return {number: str(token) for number, token in self.tokenizer.added_tokens_decoder.items()}

    @cached_property
    def _splitting(self) -> Mapping[int, str]:
        """Added tokens at which the tokenizer splits a text before it does anything else."""
        if self._backend is None:
            return {}
        added = self.tokenizer.added_tokens_decoder.items()
        return {number: str(token) for number, token in added if not token.normalized and not token.single_word}

    @cached_property
    def special(self) -> dict[str, int]:
        """Special tokens and their ids: those that are marked as special, and those with a name (bos, eos, ...)."""
        marked = {str(token): number for number, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        return marked | dict(zip(self.tokenizer.all_special_tokens, self.tokenizer.all_special_ids, strict=True))

    @cached_property
    def control(self) -> dict[str, int]:
        """Special tokens that are never part of an answer: all except those that mark thoughts."""
        return {text: number for text, number in self.special.items() if not is_thought_mark(text)}

    @cached_property
    def added(self) -> tuple[str, ...]:
        """The texts of tokens that were added to the vocabulary, except those that mark thoughts."""
        return tuple(text for text in self._added.values() if text.strip() and not is_thought_mark(text))

    @cached_property
    def split_pattern(self) -> re.Pattern[str]:
        """Matches added and special tokens in a text."""
        return any_of({*self._added.values(), *self.special})


def any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """A pattern whose group matches any of the texts, the longest first. Without texts, it matches nothing."""
    longest_first = sorted(filter(str.strip, texts), key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")
