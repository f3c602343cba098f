"""A tokenizer by what rendering asks of it: ids of texts with one BOS, texts of ids, and which tokens are special."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from probes.scoring.thoughts import is_thought_mark

Ids = list[int]
CONTEXT = 8  # tokens before a continuation that its first pieces are decoded with


class Tokens:
    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def bare(self, texts: Sequence[str]) -> list[Ids]:
        """Without what the tokenizer adds. A tokenizer of the tokenizers library is asked itself: twice as fast."""
        if not texts:
            return []
        if (backend := getattr(self.tokenizer, "backend_tokenizer", None)) is not None:
            backend.no_truncation()
            backend.no_padding()
            return [one.ids for one in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        found: list[Ids] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return found

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """With one BOS where the tokenizer writes one, also where a text brings its own."""
        return [ids if ids[: len(self.bos)] == self.bos else [*self.bos, *ids] for ids in self.bare(texts)]

    def text(self, ids: Sequence[int]) -> str:
        found: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return found

    def continuation(self, before: Ids, ids: Ids) -> str:
        """The text of ids behind others: a decoder takes the first blank off a text that stands alone."""
        for context in (before[-CONTEXT:], before):
            text, both = self.text(context), self.text(context + ids)
            if "\ufffd" not in text and both.startswith(text):
                break  # else the few tokens begin in the middle of a character
        return both[len(text) :]

    @cached_property
    def bos(self) -> Ids:
        """What the tokenizer writes before a text by itself."""
        alone, written = self.bare(["x"])[0], list(self.tokenizer("x")["input_ids"])
        places = range(len(written) - len(alone) + 1)
        return written[: next((at for at in places if written[at : at + len(alone)] == alone), 0)]

    @cached_property
    def special(self) -> dict[str, int]:
        """Special tokens by their text: those that are marked as such, and those that have a name (bos, eos, ...)."""
        found = {str(token): number for number, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        return found | dict(zip(self.tokenizer.all_special_tokens, self.tokenizer.all_special_ids, strict=True))

    @cached_property
    def unsaid(self) -> dict[str, int]:
        """Special tokens that are no part of an answer: all but those that mark thoughts."""
        return {text: number for text, number in self.special.items() if not is_thought_mark(text)}

    @cached_property
    def added(self) -> tuple[str, ...]:
        """The texts of tokens that were added to the vocabulary, special or not, but for those that mark thoughts."""
        found = map(str, self.tokenizer.added_tokens_decoder.values())
        return tuple(text for text in found if text.strip() and not is_thought_mark(text))
