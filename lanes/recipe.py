"""A recipe: every parameter of one preference-tuning run, immutable, with a digest and a TOML round trip."""

import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from common.digests import digest_of

Objective = Literal["orpo", "dpo"]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]
DpoLoss = Literal[
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair",
    "sppo_hard", "aot", "aot_unpaired", "apo_zero", "apo_down", "discopop",
]  # fmt: skip
Optimizer = Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit"]
Quantization = Literal["none", "nf4"]
Order = Literal[
    "shuffle", "source_first", "source_last", "easy_first", "hard_first", "short_first", "long_first"
]  # fmt: skip


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


class Recipe(BaseModel):
    """Every parameter of one training run. Two recipes are the same exactly when their digests are.

    ``mixture`` maps a source's name to its weight: the share of training rows drawn from it, after normalising.
    ``warmup`` is a share of the steps. ``beta`` is DPO's inverse temperature (Rafailov et al. 2023, eq. 7) or the
    weight of ORPO's odds-ratio term, there called lambda (Hong et al. 2024, eq. 6).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=False)

    objective: Objective = "orpo"
    learning_rate: float = Field(2e-5, gt=0, lt=1)
    scheduler: Scheduler = "cosine"
    warmup: float = Field(0.1, ge=0, le=0.9)
    beta: float = Field(0.1, gt=0, le=100)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    dpo_loss: DpoLoss = "sigmoid"
    lora_rank: int = Field(16, ge=1, le=1024)
    lora_alpha: int = Field(32, ge=1, le=4096)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    lora_targets: tuple[str, ...] = ("all-linear",)
    weight_decay: float = Field(0.0, ge=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    effective_batch: int = Field(4, ge=1, le=4096)
    max_length: int = Field(2048, ge=8)
    optimizer: Optimizer = "adamw_torch"
    quantization: Quantization = "none"
    mixture: Mixture
    curriculum: Order = "shuffle"

    @property
    def digest(self) -> str:
        """Sixteen hex digits of the SHA-256 of the canonical JSON form."""
        return digest_of(self.model_dump(mode="json"))

    @property
    def shares(self) -> Mapping[str, float]:
        """The mixture with its weights normalised to a sum of 1, to nine decimals."""
        total = sum(self.mixture.values())
        return {source: round(weight / total, 9) for source, weight in self.mixture.items()}

    @property
    def effect(self) -> str:
        """The digest of what training sees: of a mixture only the shares, not the scale of its weights."""
        return digest_of({**self.model_dump(mode="json"), "mixture": dict(self.shares)})

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
        return cls.model_validate(tomllib.loads(text))
