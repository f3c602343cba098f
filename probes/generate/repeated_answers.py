"""Whether a server answers the same when it is asked one question at a time and all of them at once.

A server computes the answers that it gives at the same time as one batch, and rounding depends on the batch's size
(https://thinkingmachines.ai/blog/defeating-nondeterminism-in-llm-inference/), so that greedy answers part at the first
token where two are nearly as likely. vLLM's VLLM_BATCH_INVARIANT=1 prevents it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

QUESTIONS = 8


def same_answers(ask: Callable[[str], str], prompts: Sequence[str]) -> tuple[int, int]:
    """How many answers were the same alone and together, and of how many. ``ask``: a greedy answer; may be called from
    several threads, and what it raises is raised here. Two prompts at least are needed, else nothing is asked."""
    asked = list(dict.fromkeys(prompts))[:QUESTIONS]
    if len(asked) < 2:
        return 0, 0
    alone = [ask(prompt) for prompt in asked]
    with ThreadPoolExecutor(len(asked), "together") as pool:
        together = list(pool.map(ask, asked))
    return sum(one == other for one, other in zip(alone, together, strict=True)), len(asked)
