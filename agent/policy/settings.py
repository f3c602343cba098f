"""``[policy]``: every threshold of a decision. Its digest is stored with each decision."""

from pydantic import Field, model_validator

from probes.inputs.settings import Section


class Policy(Section):
    """The thresholds of a decision. Those in points are on the scale from 0 to 10."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval that is shown."""
    smallest_effect: float = Field(0.0, ge=0)
    """KEEP needs a lower bound of the target above this many points."""
    night_error: float = Field(0.05, gt=0, lt=0.5)
    """Chance that a night without any real improvement ends with a KEEP."""
    later_error: float = Field(0.2, gt=0, lt=0.5)
    """The same chance for what follows a KEEP, until the next KEEP."""
    spend: float = Field(0.5, gt=0, lt=1)
    """Share of the remaining error that one confirmation may spend."""
    guard_error: float = Field(0.05, gt=0, lt=0.5)
    """Chance that a guard that falls by its margin passes a confirmation."""
    survey: int = Field(60, ge=0)
    """Most recipes with several knobs moved at once that are measured before the first proposal. A short session has
    fewer, or none if that would be under three per knob. 0 leaves the survey out."""
    first_seeds: int = Field(2, ge=1)
    """Pairs of probes with which a candidate begins."""
    screening_seeds: int = Field(4, ge=2)
    """Most pairs of a candidate before its confirmation."""
    confirming_seeds: int = Field(20, ge=2)
    """Most fresh pairs of a confirmation; a short session has fewer."""
    hopeless: float = Field(0.25, ge=0, lt=1)
    """A candidate is discarded if its chance of a KEEP is below this."""
    promising: float = Field(0.5, gt=0, le=1)
    """A candidate is confirmed at once if its chance of a KEEP is at least this."""
    disguised: float = Field(0.05, ge=0, le=0.5)
    """Share of the candidates that are A/A tests: the incumbent itself under other seeds."""
    plateau: int = Field(24, ge=1)
    """Candidates in a row without a confirmation before the search widens."""
    holdout_seeds: int = Field(3, ge=0)
    """Pairs of the comparison on holdout prompts at the end; 0 leaves out both checks at the end."""
    most_samples: int = Field(0, ge=0)
    """Most answers per prompt that the session may choose; 0 keeps those of [probe]."""
    round: int = Field(0, ge=0)
    """Candidates measured side by side; 0 means one per worker."""
    must_see: float = Field(5.0, gt=0, le=10)
    """A study is refused if its target cannot show an effect of this many points."""

    @model_validator(mode="after")
    def _in_order(self) -> "Policy":
        if not self.first_seeds <= self.screening_seeds or not self.first_seeds <= self.confirming_seeds:
            raise ValueError(
                f"first_seeds={self.first_seeds} begin a comparison that may grow to "
                f"screening_seeds={self.screening_seeds} and confirming_seeds={self.confirming_seeds}; raise those"
            )
        if self.hopeless > self.promising:
            raise ValueError(
                f"hopeless={self.hopeless:g} is above promising={self.promising:g}, so one would be both; swap them"
            )
        if self.holdout_seeds == 1:
            raise ValueError("holdout_seeds=1 shows no spread between seeds; use 2 or more, or 0 to leave it out")
        return self
