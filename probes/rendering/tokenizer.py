"""The tokenizer functions that rendering needs: ids of texts with one BOS, texts of ids, and special tokens."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from probes.scoring.thoughts import is_thought_mark

Ids = list[int]
CONTEXT = 8  # tokens before a continuation with which it is decoded


class Tokens:
    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def bare(self, texts: Sequence[str]) -> list[Ids]:
        """Ids without added tokens. The tokenizers library is called directly if possible, which is twice as fast."""
        if not texts:
            return []
        if (backend := getattr(self.tokenizer, "backend_tokenizer", None)) is not None:
            backend.no_truncation()
            backend.no_padding()
            return [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        ids: list[Ids] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Ids that begin with exactly one BOS, if the tokenizer writes one, also for a text that has its own."""
        return [ids if ids[: len(self.bos)] == self.bos else [*self.bos, *ids] for ids in self.bare(texts)]

    def text(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def continuation(self, before: Ids, ids: Ids) -> str:
        """The text of ids that follow others, decoded together, because a decoder removes the first blank of a text."""
        for context in (before[-CONTEXT:], before):
            text, both = self.text(context), self.text(context + ids)
            if "\ufffd" not in text and both.startswith(text):
                break  # otherwise the context begins in the middle of a character
        return both[len(text) :]

    @cached_property
    def bos(self) -> Ids:
        """The ids that the tokenizer adds before a text."""
        alone, written = self.bare(["x"])[0], list(self.tokenizer("x")["input_ids"])
        places = range(len(written) - len(alone) + 1)
        return written[: next((at for at in places if written[at : at + len(alone)] == alone), 0)]

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
        texts = map(str, self.tokenizer.added_tokens_decoder.values())
        return tuple(text for text in texts if text.strip() and not is_thought_mark(text))
