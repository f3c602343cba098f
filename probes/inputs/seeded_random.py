"""Pseudo-random numbers that depend only on what they are for, so that a draw moves no other draw."""

import hashlib


def unit(*parts: object) -> float:
    """A pseudo-random number in [0, 1) that depends only on the arguments."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
