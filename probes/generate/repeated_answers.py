"""Checks whether a server gives the same greedy answers one by one and all at once.

A server computes concurrent answers as one batch, and rounding depends on the batch size
(https://thinkingmachines.ai/blog/defeating-nondeterminism-in-llm-inference/), so greedy answers diverge where two
tokens are almost equally likely. vLLM's VLLM_BATCH_INVARIANT=1 prevents this.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

QUESTIONS = 8
Asked = TypeVar("Asked")
"""What is sent as one question: a text, or a rendered prompt. Hashable."""


def same_answers(ask: Callable[[Asked], str], prompts: Sequence[Asked]) -> tuple[int, int]:
    """(equal, asked): how many answers were equal when asked one by one and all at once, and how many were compared.
    (0, 0) for fewer than two different prompts. ``ask`` returns a greedy answer; it is called from several threads, and
    its exceptions pass through."""
    asked = list(dict.fromkeys(prompts))[:QUESTIONS]
    if len(asked) < 2:
        return 0, 0
    alone = [ask(prompt) for prompt in asked]
    with ThreadPoolExecutor(len(asked), "together") as pool:
        together = list(pool.map(ask, asked))
    return sum(one == other for one, other in zip(alone, together, strict=True)), len(asked)
