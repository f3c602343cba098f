"""A sampled answer with the reason why it ended. Imports no torch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]
"""As OpenAI's API and vLLM name it. stop: the model ended its turn. length: it reached max_new_tokens, so the text may
end in the middle of a sentence. There is no third: a probe in which an answer is missing fails."""


@dataclass(frozen=True, slots=True)
class SampledText:
    """``tokens``: how many were generated, with the one that ended it; None where nobody counted."""

    text: str
    finish_reason: FinishReason
    tokens: int | None = None

    @property
    def cut(self) -> bool:
        """Whether it was cut at max_new_tokens."""
        return self.finish_reason == "length"


def tokens_of(answers: Iterable[SampledText]) -> int | None:
    """The generated tokens of all answers together; None if the tokens of one are unknown."""
    counts = [one.tokens for one in answers]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
