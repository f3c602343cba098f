"""The settings of sampling, and the random numbers of an answer, here and at a server. Imports no torch."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How answers are sampled: ``samples`` per prompt, ``batch_size`` rows per forward pass."""

    samples: int = 4
    temperature: float = 0.8
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 96
    seed: int = 0
    batch_size: int = 256


def sampling_seed(study: int, training: int) -> int:
    """The sampling seed of a probe. It depends on the training seed and not on the recipe: the seeds of a comparison
    are independent, and its two sides share their random numbers."""
    return int.from_bytes(hashlib.blake2b(f"{study}|{training}".encode(), digest_size=7).digest(), "big")


def row_key(seed: int, prompt: str, sample: int) -> int:
    """The int64 key of one answer's random numbers."""
    digest = hashlib.blake2b(f"{seed}|{sample}|{prompt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def request_seed(seed: int, prompt: str, sample: int) -> int:
    """The key of one answer in the 31 bits that servers take as a seed."""
    return row_key(seed, prompt, sample) & 0x7FFFFFFF
