"""A recipe: every parameter of one preference-tuning run, immutable, with a digest and a TOML round trip."""

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, PrivateAttr

from common.digests import digest_of

Objective = Literal["orpo", "dpo"]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]
DpoLoss = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sigmoid_norm",
]
AddedLoss = Literal["none", "sft", DpoLoss]
LoraVariant = Literal["lora", "dora"]
LoraScaling = Literal["rank", "rslora"]
LoraInit = Literal["kaiming", "gaussian", "orthogonal"]
Optimizer = Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"]
Quantization = Literal["none", "nf4"]
Duplicates = Literal["keep", "rows", "prompts"]
Order = Literal["shuffle", "source_first", "source_last", "easy_first", "hard_first", "short_first", "long_first"]


def _canonical_mixture(weights: Mapping[str, float]) -> Mapping[str, float]:
    if any(weight < 0 for weight in weights.values()):
        raise ValueError("a mixture weight is a share and cannot be negative; use 0 to leave the source out")
    if not any(weight > 0 for weight in weights.values()):
        raise ValueError("a mixture needs one source with a weight above 0; raise one of them")
    return MappingProxyType({name: float(weights[name]) for name in sorted(weights) if weights[name] > 0})


Mixture = Annotated[
    Mapping[str, Annotated[float, Field(allow_inf_nan=False)]],
    AfterValidator(_canonical_mixture),
    PlainSerializer(dict),
]


class SourceFilter(BaseModel):
    """Which rows of one source are left out. The defaults keep all rows, and a dump omits them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    min_margin: float = Field(0.0, ge=0, exclude_if=lambda least: least == 0)
    """Smallest difference, in points, between the scores of the chosen and the rejected answer; leaves out rows that
    lack a score. 0 keeps all."""
    length_ratio: float = Field(0.0, ge=0, le=1, exclude_if=lambda least: least == 0)
    """Smallest ratio of the characters of the shorter answer to those of the longer one; 0 keeps all."""
    duplicates: Duplicates = Field("keep", exclude_if=lambda what: what == "keep")
    """"rows" leaves out near duplicates of an earlier row (prompt and both answers), "prompts" rows whose prompt nearly
    repeats an earlier one's."""
    subset: float = Field(1.0, gt=0, le=1, exclude_if=lambda share: share == 1)
    """Share of the rows that the other filters keep, drawn once and for all seeds."""


def _canonical_filters(filters: Mapping[str, SourceFilter]) -> Mapping[str, SourceFilter]:
    return MappingProxyType({name: filters[name] for name in sorted(filters) if filters[name] != SourceFilter()})


def _dumped_filters(filters: Mapping[str, SourceFilter]) -> dict[str, dict[str, Any]]:
    return {name: own.model_dump(mode="json") for name, own in filters.items()}


Filters = Annotated[Mapping[str, SourceFilter], AfterValidator(_canonical_filters), PlainSerializer(_dumped_filters)]


class Recipe(BaseModel):
    """Every parameter of one training run. Two recipes are equal exactly when their digests are. A dump omits each
    parameter that an older version did not have if it has its default, so that old digests stay valid."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, strict=False, use_attribute_docstrings=True
    )

    objective: Objective = "orpo"
    """The loss: ORPO or DPO."""
    learning_rate: float = Field(2e-5, gt=0, lt=1)
    """Peak learning rate."""
    scheduler: Scheduler = "cosine"
    """Learning rate schedule."""
    warmup: float = Field(0.1, ge=0, le=0.9)
    """Share of the steps in which the learning rate rises."""
    beta: float = Field(0.1, gt=0, le=100)
    """DPO's inverse temperature (Rafailov et al. 2023, eq. 7), or the weight of ORPO's odds-ratio term, there called
    lambda (Hong et al. 2024, eq. 6)."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """DPO: the assumed share of pairs whose sides are swapped."""
    dpo_loss: DpoLoss = "sigmoid"
    """DPO: the kind of loss, by TRL's names."""
    second_loss: AddedLoss = Field("none", exclude_if=lambda kind: kind == "none")
    """DPO: a loss that is added to dpo_loss, "sft" (the likelihood of the chosen answers) for example."""
    second_weight: float = Field(1.0, gt=0, le=100, exclude_if=lambda weight: weight == 1)
    """DPO: the weight of second_loss; dpo_loss has 1."""
    third_loss: AddedLoss = Field("none", exclude_if=lambda kind: kind == "none")
    """DPO: one more loss beside second_loss, as in MPO (Wang et al. 2024: sigmoid, bco_pair and sft)."""
    third_weight: float = Field(1.0, gt=0, le=100, exclude_if=lambda weight: weight == 1)
    """DPO: the weight of third_loss."""
    ld_alpha: float = Field(1.0, ge=0, le=1, exclude_if=lambda weight: weight == 1)
    """DPO: the weight of the tokens by which an answer is longer than the other one (LD-DPO, Liu et al. 2024); 1 is
    ordinary DPO."""
    lora_rank: int = Field(16, ge=1, le=1024)
    """Rank of the LoRA matrices."""
    lora_alpha: int = Field(32, ge=1, le=4096)
    """Scale of the LoRA update, divided by the rank."""
    lora_scaling: LoraScaling = Field("rank", exclude_if=lambda kind: kind == "rank")
    """What lora_alpha is divided by: the "rank", or its square root with "rslora" (Kalajdzievski 2023)."""
    lora_variant: LoraVariant = Field("lora", exclude_if=lambda kind: kind == "lora")
    """"dora" also trains the magnitude of each output (Liu et al. 2024). Slower: the packed engine cannot train it."""
    lora_init: LoraInit = Field("kaiming", exclude_if=lambda kind: kind == "kaiming")
    """How the LoRA matrices begin, by PEFT's names: none of these changes what the base answers."""
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    """Dropout before the LoRA matrices."""
    lora_targets: tuple[str, ...] = ("all-linear",)
    """Modules that get an adapter."""
    weight_decay: float = Field(0.0, ge=0, lt=1)
    """Weight decay of the optimizer."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are clipped to this norm."""
    effective_batch: int = Field(4, ge=1, le=4096)
    """Rows per optimizer step, reached by accumulation."""
    max_length: int = Field(2048, ge=8)
    """Most tokens of a row, prompt and answer together."""
    optimizer: Optimizer = "adamw_torch"
    """The optimizer, by transformers' names."""
    quantization: Quantization = "none"
    """Quantisation of the base in training: "nf4" (QLoRA) or none."""
    mixture: Mixture
    """Weight of each source: its share of the training rows after normalising. In a study also the name of a
    manifest."""
    curriculum: Order = "shuffle"
    """Order of the training rows."""
    filters: Filters = Field(default_factory=lambda: MappingProxyType({}), exclude_if=lambda filters: not filters)
    """Name of a source -> which of its rows are left out."""

    _digest: str = PrivateAttr(default="")
    _effect: str = PrivateAttr(default="")

    @property
    def digest(self) -> str:
        """Sixteen hex digits of the SHA-256 of the canonical JSON form."""
        if not self._digest:
            self._digest = digest_of(self.model_dump(mode="json"))
        return self._digest

    @property
    def shares(self) -> Mapping[str, float]:
        """The mixture with its weights normalised to a sum of 1, to nine decimals."""
        total = sum(self.mixture.values())
        return {source: round(weight / total, 9) for source, weight in self.mixture.items()}

    @property
    def effect(self) -> str:
        """The digest of what training depends on: of the mixture only the shares, not the scale of the weights, and
        only the filters of sources that have a share."""
        if not self._effect:
            plain = {**self.model_dump(mode="json"), "mixture": dict(self.shares)}
            filters = {source: own for source, own in plain.pop("filters", {}).items() if source in self.mixture}
            self._effect = digest_of({**plain, "filters": filters} if filters else plain)
        return self._effect

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> "Recipe":
        """A validated copy with other values. Cached digests are not copied."""
        return Recipe.model_validate({**self.model_dump(mode="json"), **(update or {})})

    def __reduce__(self) -> tuple[Any, ...]:
        return Recipe.model_validate, (self.model_dump(mode="json"),)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.digest == other.digest

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json"))

    @classmethod
    def from_toml(cls, text: str) -> "Recipe":
        """Raises tomllib.TOMLDecodeError or pydantic.ValidationError."""
        return cls.model_validate(_parse(text))


_KEY = re.compile(r"\n(?=\w)")
_parse_part = lru_cache(maxsize=1024)(tomllib.loads)


def _parse(text: str) -> Mapping[str, Any]:
    """Like ``tomllib.loads``, but parses a text of ``to_toml`` line by line through a cache, since recipes have most
    lines in common. This saves seconds where a night starts with 10,000 earlier decisions."""
    keys, _, mixture = text.partition("\n[mixture]\n")
    with suppress(tomllib.TOMLDecodeError):  # such as a value that spans several lines
        parts = [_parse_part(part) for part in _KEY.split(keys)]
        values = {key: value for part in parts for key, value in part.items()}
        if len(values) == len(parts) and all(len(part) == 1 for part in parts) and mixture and "[" not in mixture:
            return {**values, "mixture": _parse_part(mixture)}
    return tomllib.loads(text)
