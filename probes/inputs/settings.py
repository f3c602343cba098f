"""The sections of a study file that define a probe: model, data, prompts, scorer, probe, serving, runner."""

import datetime
import operator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from common.plugins import unknown_kind
from probes.inputs.rows.repeated_prompts import PromptInAnswers


class Section(BaseModel):
    """A table of the study file: immutable, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, strict=True, use_attribute_docstrings=True
    )


FIXED_DATE = datetime.date(2026, 1, 1)
"""The date for chat templates that ask for today's, unless the study sets one."""


RENDERING = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "documents",
        "max_length",
        "messages",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "tokenize",
        "tokenizer_kwargs",
        "tools",
        "truncation",
    }
)


class ModelSettings(Section):
    """``[model]``: the base model and how it is loaded. A dump omits attn_implementation, chat_template_kwargs, date
    and adapter if they are not set, so that they change no digest."""

    path: str
    """A folder or a GGUF file, relative to the study, or a hub id."""
    revision: str | None = None
    """Revision of a hub model, best a commit, since a branch may move."""
    dtype: Literal["auto", "native", "float32", "bfloat16", "float16"] = "auto"
    """Data type of a base that is not quantised; "auto" is bfloat16 on a GPU and float32 on a CPU; "native" is bfloat16
    on a CPU that computes in it too (AVX512-BF16, AMX, Arm's BF16), which the probe key then says. NF4 computes in
    bfloat16."""
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = (
        Field(None, exclude_if=lambda name: name is None)
    )
    """How attention is computed, by transformers' names; without it, transformers chooses."""
    chat: Literal["auto", "never"] = "auto"
    """"auto" renders prompts as a user's turn if the tokenizer has a chat template; "never" does not."""
    chat_template: str | None = None
    """A Jinja file that replaces the tokenizer's chat template."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda given: not given)
    """Arguments of the chat template, such as enable_thinking = false."""
    date: datetime.date = Field(FIXED_DATE, exclude_if=lambda day: day == FIXED_DATE)
    """The date for chat templates that ask for today's."""
    adapter: str | None = Field(None, exclude_if=lambda folder: folder is None)
    """Folder of a LoRA adapter that is part of the base, such as one of supervised fine-tuning."""
    trust_remote_code: bool = False
    """Run Python code that the model brings along."""

    @field_validator("chat_template_kwargs")
    @classmethod
    def _kwargs_are_the_templates(cls, given: dict[str, Any]) -> dict[str, Any]:
        if ours := sorted(RENDERING & set(given)):
            raise ValueError(
                f"chat_template_kwargs are for the template, and {ours[0]} is set by nightlane; take it out"
            )
        return given


class DataSettings(Section):
    """``[data]``: preference rows by source, and mixtures of the sources."""

    sources: dict[str, str] = Field(min_length=1)
    """Name of a source -> a file or folder of preference rows, or a hub id (docs/data.md)."""
    manifests: dict[str, dict[str, float]] = Field(min_length=1)
    """Name of a mixture -> weight of each source."""
    bad_rows: Literal["refuse", "leave_out"] = "refuse"
    """"refuse" a source with a bad row, or "leave_out" the bad rows and report them."""
    prompt_in_answers: PromptInAnswers | dict[str, PromptInAnswers] | None = Field(
        None, exclude_if=lambda given: given is None
    )
    """Where plain answers begin with their prompt: "remove" it, or "keep" the answers; for all sources, or by source.
    Without it, such rows are refused, unless all are dialogues in one text."""

    def prompt_in(self, source: str) -> PromptInAnswers | None:
        """What ``prompt_in_answers`` says of a source."""
        setting = self.prompt_in_answers
        return setting.get(source) if isinstance(setting, dict) else setting

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
        by_source = self.prompt_in_answers if isinstance(self.prompt_in_answers, dict) else {}
        if unknown := sorted(set(by_source) - set(self.sources)):
            raise ValueError(
                f"prompt_in_answers names {unknown[0]!r}, which is no source; known: {', '.join(self.sources)}"
            )
        return self


class PromptSettings(Section):
    """``[prompts]``: the prompts that are answered."""

    file: str
    """The file of prompts. Each row names its split: probe, harvest or holdout."""


class HarvestSettings(Section):
    """``[harvest]``: what both recipes of a decision answer, so that preference pairs can be made."""

    prompts: int = Field(96, ge=0)
    """Prompts of the harvest split, spread evenly over its categories; 0 makes no pairs."""
    samples: int = Field(4, ge=1)
    """Answers per prompt."""
    seeds: int = Field(2, ge=1)
    """How many seeds of a confirmation are harvested, the first that were measured; both sides' adapters answer."""
    margin: float = Field(1.0, gt=0, le=10)
    """Points by which a chosen answer must score higher than the rejected one."""


class ScorerSettings(Section):
    """``[scorer]``: which scorer. Its other keys are those of the scorer's own ``Settings``."""

    kind: str = "execution"
    """Which scorer: execution, judge, rules, function, inspect, lm_eval, or one of a plug-in."""
    most_missing: float = Field(0.02, ge=0, lt=1)
    """Share of the answers that may stay without a score; above it, the probe is a failure."""
    thoughts: Literal["skip", "keep"] = "skip"
    """"skip" scores what follows the last </think> or its like, and nothing if a thought never ends; "keep" scores all.
    Code is read after the thoughts either way."""

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
    """``[probe]``: what every probe of the study has in common. Any change makes old baselines unusable."""

    steps: int = Field(60, ge=1, le=10_000_000)
    """Optimizer steps."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = (42, 123, 7)
    """Training seeds, the same on both sides: two or more. Further seeds follow from these."""
    samples: int = Field(4, ge=1)
    """Answers per prompt."""
    temperature: float = Field(0.8, gt=0)
    """Sampling temperature."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling; 1 turns it off."""
    top_k: int = Field(0, ge=0)
    """Sampling among the k likeliest tokens; 0 turns it off."""
    max_new_tokens: int = Field(256, ge=1)
    """Most tokens of an answer. `check`, `status` and the report count the answers that reach it, which are never a
    chosen side."""
    sampling_seed: int = Field(0, ge=0, lt=2**63)
    """Seed of the answers."""

    @model_validator(mode="after")
    def _two_seeds(self) -> "ProbeSettings":
        if len(set(self.seeds)) != len(self.seeds) or len(self.seeds) < 2:
            raise ValueError(
                f"seeds={list(self.seeds)} must be two or more different numbers, or the spread between training "
                "seeds cannot be measured; use [42, 123, 7]"
            )
        return self


class ServingSettings(Section):
    """``[serving]``: who answers. Settings that cannot change an answer are left out of a dump and of every digest."""

    kind: Literal["local", "endpoint"] = "local"
    """"local": the worker that trained answers. "endpoint": a server with the same base model that loads adapters at
    runtime, such as vLLM."""
    model: str = ""
    """The base model's name at the server."""
    batch_invariant: bool = Field(False, exclude_if=operator.not_)
    """Whether the server's answers must not depend on what else it answers: a vLLM with VLLM_BATCH_INVARIANT=1. Part of
    the probe key; ``nightlane check STUDY`` and ``doctor STUDY`` refuse a server whose answers do."""
    adapters: str = Field("", exclude=True)
    """The server's path of the folder runs/; empty if it is the same as on this machine."""
    concurrency: int = Field(64, ge=1, le=1024, exclude=True)
    """Requests at once, per worker."""
    timeout: float = Field(300.0, gt=0, le=3600, exclude=True)
    """Seconds per request."""
    patience: float = Field(1800.0, ge=0, exclude=True)
    """Seconds to wait for a server that is down."""

    @model_validator(mode="after")
    def _a_server_has_a_model(self) -> "ServingSettings":
        if (self.kind == "endpoint") != bool(self.model):
            raise ValueError(
                f'kind = "endpoint" needs a model and "local" takes none, and this is kind={self.kind!r}, '
                f'model={self.model!r}; set kind = "endpoint" and model, the name at the server, or neither'
            )
        if self.batch_invariant and self.kind != "endpoint":
            raise ValueError('batch_invariant=true is for a server, and kind is "local"; leave it out')
        return self


LOCAL_WORKERS, RAY = "resident", "ray"
Engine = Literal["trl", "packed"]


MOVED = ("micro_batch", "generation_batch", "gradient_checkpointing")
"""Keys of ``[probe]`` in older versions that are keys of ``[runner]`` now."""


class MemorySettings(Section):
    """How much of the work is in memory at once. It changes readings only by rounding and by the draw of the dropout
    masks, so it is in no probe key (docs/gpu-and-memory.md)."""

    micro_batch: int = Field(8, ge=1)
    """Most rows per forward pass of training; the effective batch is reached by accumulation. A probe that runs out of
    memory is tried again with half of them."""
    generation_batch: int = Field(256, ge=1)
    """Most answers per forward pass of generation."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""

    def rows_at_once(self, effective_batch: int) -> int:
        """Rows per forward pass of a recipe: the largest divisor of its effective batch within ``micro_batch``."""
        most = min(self.micro_batch, effective_batch)
        return next(rows for rows in range(most, 0, -1) if effective_batch % rows == 0)

    def halved(self, effective_batch: int) -> "MemorySettings":
        """Settings with half the rows that this recipe has at once, and half the answers; at least one of each."""
        rows, answers = self.rows_at_once(effective_batch) // 2, self.generation_batch // 2
        return self.model_copy(update={"micro_batch": max(1, rows), "generation_batch": max(1, answers)})


class RunnerSettings(MemorySettings):
    """``[runner]``: where probes run, and how much of the work is in memory at once."""

    kind: str = LOCAL_WORKERS
    """Which runner: resident (worker processes on this machine), ray (workers on a Ray cluster), simulated (invented
    scores within seconds, to try nightlane without a model), or one of a plug-in."""
    engine: Engine = "trl"
    """What trains: "trl" (TRL's trainers), or "packed" (nightlane's own, faster, for many adapters on one base). What
    it cannot train is trained by "trl" for the whole session, and the log says why. It is in the probe key."""
    workers: int = Field(0, ge=0)
    """Worker processes; 0 means one per GPU (or per ``gpus_per_worker`` of them), or one per core without a GPU."""
    gpus_per_worker: int = Field(1, ge=1)
    """GPUs that hold one base together, for a base that does not fit on one. It is in the probe key if above 1."""
    address: str = ""
    """Address of the Ray cluster, such as "10.0.0.1:6379", for kind = "ray". Without it, RAY_ADDRESS counts; without
    either, a cluster is started on this machine."""
    threads: int = Field(0, ge=0)
    """Threads per worker; 0 means one."""
    deadline: float = Field(3600.0, gt=0)
    """Most seconds of a probe."""
    start_seconds: float = Field(600.0, gt=0)
    """Most seconds until a worker has loaded the base; downloading it does not count."""
    attempts: int = Field(3, ge=1)
    """Attempts at a probe whose failure may not be its own fault."""
    simulated_seconds: float = Field(0.0, ge=0)
    """Seconds that a simulated probe takes."""

    @property
    def loads_models(self) -> bool:
        """Whether the study's base is loaded and trained. A plug-in may have no model at all."""
        return self.kind in (LOCAL_WORKERS, RAY)

    @field_validator("kind")
    @classmethod
    def _there_is_such_a_runner(cls, kind: str) -> str:
        if unknown := unknown_kind("runners", kind, [LOCAL_WORKERS, RAY]):
            raise ValueError(unknown)
        return kind
