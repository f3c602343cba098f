"""A sampled answer with the reason why it ended. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]
"""As OpenAI's API and vLLM name it. stop: the model ended its turn. length: it reached max_new_tokens, so the text may
end in the middle of a sentence. There is no third: a probe in which an answer is missing fails."""


@dataclass(frozen=True, slots=True)
class SampledText:
    text: str
    finish_reason: FinishReason

    @property
    def cut(self) -> bool:
        """Whether it was cut at max_new_tokens."""
        return self.finish_reason == "length"
