"""The settings of ``[scorer] kind = "judge"``, and the folder of its judgements."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from probes.inputs.settings import ScorerSettings


def _or_from_environment(model: str) -> str:
    return model or os.environ.get("OPENAI_JUDGE_MODEL") or os.environ.get("OPENAI_MODEL") or ""


class JudgeSettings(ScorerSettings):
    """``[scorer] kind = "judge"``. Settings that cannot change a judgement are left out of a dump and of every digest.

    The judge is examined with the calibration set and with answers without merit (canaries) at the start of a session,
    after every ``examine_every`` decisions and at the end.
    """

    kind: str = "judge"
    rubric: str = Field("rubric.toml", min_length=1)
    """The TOML file of the rubric, relative to the study's folder."""
    model: Annotated[str, AfterValidator(_or_from_environment)] = Field("", validate_default=True)
    """Name of the judge; if empty, that of OPENAI_JUDGE_MODEL or OPENAI_MODEL. It is part of the probe key."""
    passes: int = Field(1, ge=1, le=20)
    """Judgements per answer."""
    pairwise: bool = False
    """Compare the answers of candidate and incumbent in pairs, in both orders, and decide on these choices."""
    max_tokens: int = Field(512, ge=16)
    """Most tokens of a judgement."""
    concurrency: int = Field(8, ge=1, le=256, exclude=True)
    """Requests at once."""
    timeout: float = Field(60.0, gt=0, le=3600, exclude=True)
    """Seconds per request."""
    patience: float = Field(3600.0, ge=0, exclude=True)
    """Seconds to wait for an endpoint that is down."""
    cache: str = Field("judge-cache", min_length=1, exclude=True)
    """Folder of the judgements made so far, relative to the study's folder."""
    calibration: str = Field("", exclude=True)
    """A JSONL file of answers, each with the range in which its score must lie."""
    examine_every: int = Field(5, ge=1, exclude=True)
    """Decisions between two examinations of the judge."""
    canary_limit: float = Field(3.0, gt=0, lt=10, exclude=True)
    """The judge is unfit if an answer without merit scores above this."""
    most_out_of_range: float = Field(0.2, ge=0, lt=1, exclude=True)
    """The judge is unfit if a larger share of the calibration set is out of its range."""
    most_shift: float = Field(0.5, gt=0, lt=10, exclude=True)
    """The judge counts as another one if the calibration scores moved by more points than this."""
    dollars_per_million_input: float = Field(0.0, ge=0, exclude=True)
    """Price of a million input tokens."""
    dollars_per_million_output: float = Field(0.0, ge=0, exclude=True)
    """Price of a million output tokens."""

    @property
    def priced(self) -> bool:
        return bool(self.dollars_per_million_input or self.dollars_per_million_output)

    @property
    def judge(self) -> str:
        return self.model or "a model that is not named yet"

    @property
    def judgements(self) -> int:
        return self.passes

    @property
    def chooses(self) -> bool:
        return self.pairwise


def cache_folder(settings: JudgeSettings, folder: Path) -> Path:
    """The folder of the judgements; a relative path starts from the study."""
    return folder / Path(settings.cache).expanduser()
