"""``[policy]``: every threshold of a decision. Its digest is stored with each decision."""

from pydantic import Field, model_validator

from probes.inputs.settings import Section


class Policy(Section):
    """The thresholds, on the 0 to 10 scale where they are points.

    ``confidence``: of every interval that is shown. ``smallest_effect``: KEEP needs the target shown to improve by
    more. ``night_error``: the chance that a night without any real improvement ends with a KEEP; ``later_error``: the
    same of what follows a KEEP, until the next one. ``spend``: the share of what is left of it that one confirmation
    may spend. ``guard_error``: the chance that a guard that falls by its margin passes a confirmation.

    ``survey``: recipes around the starting one, with several knobs moved at once, that are measured before the first
    proposal, at most; of a short session, fewer, or none where that would be under three per knob; 0: none.

    ``first_seeds``, ``screening_seeds``: pairs a candidate begins with, and has at most before it is confirmed.
    ``confirming_seeds``: fresh pairs of a confirmation at most; of a short session, fewer. ``hopeless``: a candidate
    whose chance to be kept falls below is discarded; ``promising``: at this chance screening ends early.

    ``disguised``: share of the candidates that are the incumbent itself, under other seeds. ``plateau``: candidates in
    a row without one that reached its confirmation, before the search widens. ``holdout_seeds``: pairs of the last
    comparison, on holdout prompts; 0 leaves out both checks at the end. ``most_samples``: answers per prompt that the
    session may choose; 0 keeps those of the study. ``round``: candidates measured side by side; 0: one per worker.

    ``must_see``: a study whose target cannot show an effect of so many points is refused before it starts.
    """

    confidence: float = Field(0.95, gt=0.5, lt=1)
    smallest_effect: float = Field(0.0, ge=0)
    night_error: float = Field(0.05, gt=0, lt=0.5)
    later_error: float = Field(0.2, gt=0, lt=0.5)
    spend: float = Field(0.5, gt=0, lt=1)
    guard_error: float = Field(0.05, gt=0, lt=0.5)
    survey: int = Field(60, ge=0)
    first_seeds: int = Field(2, ge=1)
    screening_seeds: int = Field(4, ge=2)
    confirming_seeds: int = Field(20, ge=2)
    hopeless: float = Field(0.25, ge=0, lt=1)
    promising: float = Field(0.5, gt=0, le=1)
    disguised: float = Field(0.05, ge=0, le=0.5)
    plateau: int = Field(24, ge=1)
    holdout_seeds: int = Field(3, ge=0)
    most_samples: int = Field(0, ge=0)
    round: int = Field(0, ge=0)
    must_see: float = Field(5.0, gt=0, le=10)

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
