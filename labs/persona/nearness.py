"""Questions that nothing made here may come near: those of the probe and holdout splits. Stricter than what a study is
refused for, since the texts of a lab are drawn and another one is always at hand.
"""

from collections.abc import Iterable

from probes.inputs.duplicates import Wording

NEAR = 0.5


class Reserved:
    """Questions to keep clear of."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._wordings = [Wording.of(text) for text in texts]

    def is_near(self, text: str) -> bool:
        wording = Wording.of(text)
        return any(wording.similarity(other) >= NEAR for other in self._wordings)
