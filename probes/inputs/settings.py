"""The sections of a study file that say what a probe is: model, data, prompts, scorer, probe, serving, runner."""

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from common.plugins import unknown_kind


class Section(BaseModel):
    """A table of the study file: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


FIXED_DATE = datetime.date(2026, 1, 1)
"""What chat templates are told that ask for today's date, where a study names none."""


RENDERING = frozenset({
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "documents", "max_length",
    "messages", "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors", "tokenize",
    "tokenizer_kwargs", "tools", "truncation",
})  # fmt: skip


class ModelSettings(Section):
    """``[model]``: a local folder (relative to the study) or a hub id, and how it is loaded.

    ``dtype``: of a base that is not quantised; NF4 computes in bfloat16.
    ``chat``: "auto" wraps prompts as a user's turn when the tokenizer has a chat template, "never" does not;
    ``chat_template`` is a Jinja file that replaces the tokenizer's own; ``chat_template_kwargs`` are given to it, say
    ``enable_thinking = false``; ``date`` is what a template is told that asks for today's. ``adapter``: the folder of a
    LoRA adapter that is part of the base, as supervised fine-tuning leaves one. The last three are left out of a dump
    where they are not set, so that no digest changes.
    """

    path: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    chat: Literal["auto", "never"] = "auto"
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda given: not given)
    date: datetime.date = Field(FIXED_DATE, exclude_if=lambda day: day == FIXED_DATE)
    adapter: str | None = Field(None, exclude_if=lambda folder: folder is None)
    trust_remote_code: bool = False

    @field_validator("chat_template_kwargs")
    @classmethod
    def _kwargs_are_the_templates(cls, given: dict[str, Any]) -> dict[str, Any]:
        if ours := sorted(RENDERING & set(given)):
            raise ValueError(
                f"chat_template_kwargs are for the template, and {ours[0]} is set by nightlane; take it out"
            )
        return given


class DataSettings(Section):
    """``[data.sources]``: name -> a file or folder of preference rows, or a hub id (docs/data.md has the forms).
    ``[data.manifests]``: name -> weight per source. ``bad_rows``: "refuse" a source that holds one, or "leave_out"
    those rows, and say which."""

    sources: dict[str, str] = Field(min_length=1)
    manifests: dict[str, dict[str, float]] = Field(min_length=1)
    bad_rows: Literal["refuse", "leave_out"] = "refuse"

    @model_validator(mode="after")
    def _manifests_name_sources(self) -> "DataSettings":
        for name, weights in self.manifests.items():
            unknown = sorted(set(weights) - set(self.sources))
            if unknown:
                raise ValueError(
                    f"manifest {name!r} weighs {unknown[0]!r}, which is no source; known: {', '.join(self.sources)}"
                )
            if not any(weight > 0 for weight in weights.values()) or any(weight < 0 for weight in weights.values()):
                raise ValueError(f"manifest {name!r} needs weights of 0 or more, one of them above 0")
        return self


class PromptSettings(Section):
    """``[prompts]``: one JSONL file; each row names its split (probe, harvest, holdout)."""

    file: str


class HarvestSettings(Section):
    """``[harvest]``: what both recipes of a resolved decision answer, so that preference pairs can be made.

    ``prompts``: of the harvest split, evenly over its categories; 0 makes no pairs. ``samples``: answers per prompt.
    ``margin``: points of 10 by which a chosen answer scores higher than the rejected one.
    """

    prompts: int = Field(96, ge=0)
    samples: int = Field(4, ge=1)
    margin: float = Field(1.0, gt=0, le=10)


class ScorerSettings(Section):
    """``[scorer]``: which scorer. Its other keys are those of the scorer's own ``Settings``.

    ``most_missing``: the share of a probe's answers that may stay unjudged; with more, the probe is a failure.
    ``thoughts``: "skip" scores what follows the last </think> (or its like) of an answer, and nothing where a thought
    never ends; "keep" scores all of it. Code is read behind the thoughts either way.
    """

    kind: str = "execution"
    most_missing: float = Field(0.02, ge=0, lt=1)
    thoughts: Literal["skip", "keep"] = "skip"

    @property
    def priced(self) -> bool:
        """Whether it says that scoring costs money."""
        return False

    @property
    def judge(self) -> str:
        """The model that judges; "" where none does."""
        return ""

    @property
    def judgements(self) -> int:
        """How often an answer is judged; its mark is the mean."""
        return 1

    @property
    def chooses(self) -> bool:
        """Whether decisions rest on choices between two answers."""
        return False


class ProbeSettings(Section):
    """``[probe]``: what every probe of the study has in common. Any change makes old baselines unusable.

    ``steps``: optimizer steps. ``seeds``: training seeds, the same on both sides. ``samples``: answers per prompt.
    ``micro_batch``: rows per forward pass; the effective batch is reached by accumulation.
    """

    steps: int = Field(60, ge=1, le=10_000_000)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = (42, 123, 7)
    samples: int = Field(4, ge=1)
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    max_new_tokens: int = Field(256, ge=1)
    sampling_seed: int = Field(0, ge=0, lt=2**63)
    micro_batch: int = Field(8, ge=1)
    generation_batch: int = Field(256, ge=1)
    gradient_checkpointing: bool = False

    @model_validator(mode="after")
    def _two_seeds(self) -> "ProbeSettings":
        if len(set(self.seeds)) != len(self.seeds) or len(self.seeds) < 2:
            raise ValueError(
                f"seeds={list(self.seeds)} must be two or more different numbers, or the spread between training "
                "seeds cannot be seen; use [42, 123, 7]"
            )
        return self


class ServingSettings(Section):
    """``[serving]``: who answers. "local": the worker that trained; "endpoint": a server that has the same base model
    and takes adapters at runtime, as vLLM does. What cannot change an answer is left out of a dump: no digest has it.

    ``model``: the base model's name there. ``adapters``: where the server sees the folder runs/; "": where it is here.
    ``concurrency``: requests at once per worker. ``timeout``: seconds per request. ``patience``: seconds to wait for a
    server that is down.
    """

    kind: Literal["local", "endpoint"] = "local"
    model: str = ""
    adapters: str = Field("", exclude=True)
    concurrency: int = Field(64, ge=1, le=1024, exclude=True)
    timeout: float = Field(300.0, gt=0, le=3600, exclude=True)
    patience: float = Field(1800.0, ge=0, exclude=True)

    @model_validator(mode="after")
    def _a_server_has_a_model(self) -> "ServingSettings":
        if (self.kind == "endpoint") != bool(self.model):
            raise ValueError(
                f"an endpoint has a model, a local worker none; this is kind={self.kind!r}, model={self.model!r}; "
                'set kind = "endpoint" and model, the base model\'s name at the server, or neither'
            )
        return self


LOCAL_WORKERS = "resident"


class RunnerSettings(Section):
    """``[runner]``: where probes run. ``workers`` 0: one per GPU, or one per core. ``deadline``: seconds per probe."""

    kind: str = LOCAL_WORKERS
    workers: int = Field(0, ge=0)
    threads: int = Field(0, ge=0)
    deadline: float = Field(3600.0, gt=0)
    attempts: int = Field(3, ge=1)
    simulated_seconds: float = Field(0.0, ge=0)

    @field_validator("kind")
    @classmethod
    def _there_is_such_a_runner(cls, kind: str) -> str:
        if unknown := unknown_kind("runners", kind, [LOCAL_WORKERS]):
            raise ValueError(unknown)
        return kind
