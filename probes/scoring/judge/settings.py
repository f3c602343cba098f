"""``[scorer] kind = "judge"``: the settings, and where what belongs to them lies."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from probes.inputs.settings import ScorerSettings


def _or_from_environment(model: str) -> str:
    return model or os.environ.get("OPENAI_JUDGE_MODEL") or os.environ.get("OPENAI_MODEL") or ""


class JudgeSettings(ScorerSettings):
    """``[scorer] kind = "judge"``. What cannot change a judgement is left out of a dump, so no digest has it.

    ``model``: where the study names none, OPENAI_JUDGE_MODEL or OPENAI_MODEL, read with the study: it decides a score,
    so it is a part of the probe key. ``passes``: judgements per answer. ``pairwise``: candidate and incumbent are
    compared answer by answer, in both orders, and decided on that. ``timeout``: seconds per call. ``patience``:
    seconds to wait for an endpoint that is down. ``cache``: a folder, relative to the study.

    ``calibration``: a JSONL file of answers with the range each belongs in. The judge is examined with it and with
    canaries when a session starts, after every ``examine_every`` decisions and at the end. It is unfit when a canary
    is above ``canary_limit``, when more than the share ``most_out_of_range`` of the calibration is outside its
    range, and another judge than before when the calibration moved by more than ``most_shift`` points.
    """

    kind: str = "judge"
    rubric: str = Field("rubric.toml", min_length=1)
    model: Annotated[str, AfterValidator(_or_from_environment)] = Field("", validate_default=True)
    passes: int = Field(1, ge=1, le=20)
    pairwise: bool = False
    max_tokens: int = Field(512, ge=16)
    concurrency: int = Field(8, ge=1, le=256, exclude=True)
    timeout: float = Field(60.0, gt=0, le=3600, exclude=True)
    patience: float = Field(3600.0, ge=0, exclude=True)
    cache: str = Field("judge-cache", min_length=1, exclude=True)
    calibration: str = Field("", exclude=True)
    examine_every: int = Field(5, ge=1, exclude=True)
    canary_limit: float = Field(3.0, gt=0, lt=10, exclude=True)
    most_out_of_range: float = Field(0.2, ge=0, lt=1, exclude=True)
    most_shift: float = Field(0.5, gt=0, lt=10, exclude=True)
    dollars_per_million_input: float = Field(0.0, ge=0, exclude=True)
    dollars_per_million_output: float = Field(0.0, ge=0, exclude=True)

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
    """Where judgements are kept; relative to the study unless it says otherwise."""
    return folder / Path(settings.cache).expanduser()
