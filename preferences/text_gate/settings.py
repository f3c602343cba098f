"""The limits of the text gate, ``[text_gate]`` of a study."""

from pydantic import Field

from common.digests import digest_of
from probes.inputs.duplicates import NEAR
from probes.inputs.settings import Section


class TextGateSettings(Section):
    """``[text_gate]``: what ``nightlane pairs certify --text --study STUDY`` refuses."""

    least_component: float = Field(5.0, ge=0, le=10)
    """Points of 10 that each component of the chosen answer has at least."""
    least_score: float = Field(7.0, ge=0, le=10)
    """Points of 10 that the chosen answer scores at least."""
    most_length_ratio: float = Field(3.0, ge=1)
    """How many times as long as the shorter answer of a pair the longer one may be."""
    length_slack: int = Field(40, ge=0)
    """Characters by which the lengths may differ, whatever their ratio."""
    most_repeated: float = Field(0.15, ge=0, le=1)
    """Share of the characters that may be in passages of five words that occur again."""
    most_commonest_pair: float = Field(0.20, ge=0, le=1)
    """Share of the characters that may be in the commonest pair of words."""
    most_line_characters: float = Field(0.20, ge=0, le=1)
    """Share of the characters that may be in lines that occur again."""
    most_lines: float = Field(0.30, ge=0, le=1)
    """Share of the lines that may occur again."""
    most_compression: float = Field(8.0, gt=1)
    """Largest compression ratio of an answer; one above it is taken for a loop."""
    least_similar: float = Field(NEAR, ge=NEAR, le=1)
    """Similarity from which on the chosen answer is a near duplicate of the rejected one, or of an earlier row's."""

    @property
    def digest(self) -> str:
        """Identifies limits that are not the defaults; "" for the defaults."""
        return "" if self == TextGateSettings() else digest_of(self.model_dump(mode="json"))
