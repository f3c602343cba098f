"""The hyperparameter lane, one line per knob.

Beta moves by 0.01, one step at a time, unless the study says otherwise: in one published search a jump from 0.1 to
0.12 destroyed a model.
"""

from collections.abc import Mapping

from lanes.knobs import Knob, KnobDefault, KnobSettings, LaneContext, build_from_defaults
from lanes.recipe import (
    AddedLoss,
    DpoLoss,
    LoraInit,
    LoraScaling,
    LoraVariant,
    Objective,
    Optimizer,
    Quantization,
    Scheduler,
)

LANE = "hyperparameters"


def _names(literal: object) -> KnobSettings:
    return KnobSettings(choices=literal.__args__)  # type: ignore[attr-defined]


KNOBS: tuple[KnobDefault, ...] = (
    KnobDefault("learning_rate", KnobSettings(low=1e-7, high=1e-2, factor=1.25, reach=4)),
    KnobDefault("beta", KnobSettings(low=0.01, high=2.0, step=0.01, reach=1)),
    KnobDefault("scheduler", _names(Scheduler)),
    KnobDefault("warmup", KnobSettings(low=0.0, high=0.5, step=0.05, reach=2)),
    KnobDefault("lora_rank", KnobSettings(choices=(4, 8, 16, 32, 64, 128), reach=1), whole=True),
    KnobDefault("lora_alpha", KnobSettings(choices=(8, 16, 32, 64, 128, 256), reach=1), whole=True),
    KnobDefault("lora_dropout", KnobSettings(low=0.0, high=0.5, step=0.05, reach=2)),
    KnobDefault("weight_decay", KnobSettings(low=0.0, high=0.3, step=0.01, reach=10)),
    KnobDefault("max_grad_norm", KnobSettings(low=0.1, high=10.0, factor=2.0, reach=2)),
    KnobDefault("effective_batch", KnobSettings(choices=(1, 2, 4, 8, 16, 32, 64), reach=1), whole=True),
    KnobDefault("label_smoothing", KnobSettings(low=0.0, high=0.4, step=0.05, reach=1)),
    KnobDefault("dpo_loss", _names(DpoLoss)),
    KnobDefault("second_loss", _names(AddedLoss), searched=False),
    KnobDefault("second_weight", KnobSettings(low=0.05, high=2.0, step=0.05, reach=2), searched=False),
    KnobDefault("third_loss", _names(AddedLoss), searched=False),
    KnobDefault("third_weight", KnobSettings(low=0.05, high=2.0, step=0.05, reach=2), searched=False),
    KnobDefault("ld_alpha", KnobSettings(low=0.0, high=1.0, step=0.1, reach=2), searched=False),
    KnobDefault("lora_scaling", _names(LoraScaling), searched=False),
    KnobDefault("lora_variant", _names(LoraVariant), searched=False),
    KnobDefault("lora_init", _names(LoraInit), searched=False),
    # the best learning rate of DPO is not that of ORPO
    KnobDefault("objective", _names(Objective), searched=False, structural=True),
    KnobDefault("optimizer", _names(Optimizer), searched=False),
    KnobDefault("quantization", _names(Quantization), searched=False),
    KnobDefault("max_length", KnobSettings(low=128, high=8192, factor=2.0, reach=1), searched=False, whole=True),
    KnobDefault(
        "lora_targets",
        KnobSettings(choices=(("all-linear",), ("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj"))),
        searched=False,
    ),
)
KNOB_NAMES = tuple(default.name for default in KNOBS)


def build(settings: Mapping[str, KnobSettings], context: LaneContext) -> list[Knob]:
    return build_from_defaults(LANE, KNOBS, settings, context.start)
