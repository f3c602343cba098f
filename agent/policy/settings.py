"""``[policy]``: the thresholds of a decision that a study may set. Their digest is stored with each decision."""

from typing import Literal

from pydantic import Field, model_validator

from probes.inputs.settings import Section

RETIRED = ("survey", "first_seeds", "screening_seeds", "hopeless", "promising", "plateau", "round")
"""Keys of older versions."""


class PolicySettings(Section):
    """The thresholds of a decision. Those in points are on the scale from 0 to 10."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval that is shown."""
    smallest_effect: float = Field(0.0, ge=0)
    """KEEP needs a lower bound of the target above this many points."""
    night_error: float = Field(0.05, gt=0, lt=0.5)
    """Chance that a night without any real improvement ends with a KEEP."""
    later_error: float = Field(0.2, gt=0, lt=0.5)
    """Error that the confirmations after a KEEP may spend together, until the next KEEP."""
    spend: float = Field(0.5, gt=0, lt=1)
    """Share of the error left that a confirmation spends; one that begins with few probes left spends nearly all."""
    guard_error: float = Field(0.05, gt=0, lt=0.5)
    """Chance that a confirmation passes although a guard falls by its margin."""
    confirm: Literal["stack", "single"] = "stack"
    """Confirm the changes that are likely to help together, as a stack, or one change at a time ("single")."""
    wave: int = Field(6, ge=2)
    """Recipes of a wave after the first, each of which moves several knobs; rounded up to fill the workers."""
    member_chance: float = Field(0.7, gt=0.5, lt=1)
    """Smallest chance to be an improvement that a change needs to be confirmed, and a KEEP to hold when it is re-tested
    at the end; for the last stack of a session it is lower by 0.06."""
    confirming_seeds: int = Field(20, ge=2)
    """Most pairs of a confirmation; a session plans fewer if the search needs the probes."""
    disguised: float = Field(0.05, ge=0, le=0.5)
    """Largest share of the probes that A/A tests may take: the incumbent against itself under other seeds."""
    holdout_seeds: int = Field(3, ge=0)
    """Pairs of each check at the end: the leave-one-out test of each KEEP, and the comparison on the holdout prompts.
    At least 2 are measured; 0 leaves out both checks."""
    most_samples: int = Field(0, ge=0)
    """Most answers per prompt that the session may choose; 0 keeps the number of [probe]."""
    must_see: float = Field(5.0, gt=0, le=10)
    """A study is refused if its target cannot show an effect of this many points."""

    @model_validator(mode="after")
    def _shows_spread(self) -> "PolicySettings":
        if self.holdout_seeds == 1:
            raise ValueError("holdout_seeds=1 shows no spread between seeds; use 2 or more, or 0 to leave it out")
        return self
