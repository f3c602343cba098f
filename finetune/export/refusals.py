"""Adapters that a GGUF file cannot hold, with the reason and the remedy.

llama.cpp adds scale * B(A(x)) to a linear layer, with one alpha for the whole file. Pure functions of
adapter_config.json.
"""

from collections.abc import Callable, Mapping
from typing import Any

from probes.model.sft_adapter import KEEP_BASE_WEIGHTS

Config = Mapping[str, Any]
MERGE = "merge it with --to merged, or serve PEFT's own files with --to adapter and vLLM or transformers"
SAVE_PLAIN = "save it as plain LoRA with PEFT's save_pretrained(path_initial_model_for_weight_conversion=...)"


def _per_module(key: str, usual: str) -> Callable[[Config], bool]:
    """Whether a pattern gives some module another value than the usual one."""
    return lambda config: any(value != config.get(usual) for value in (config.get(key) or {}).values())


def _set(key: str) -> Callable[[Config], bool]:
    return lambda config: bool(config.get(key))


def _changes_base(config: Config) -> bool:
    start = config.get("init_lora_weights", True)
    return not any(start is known or start == known for known in KEEP_BASE_WEIGHTS)


REFUSALS: tuple[tuple[Callable[[Config], bool], str, str], ...] = (
    (lambda config: config.get("peft_type") != "LORA", "is not LoRA (peft_type={peft_type!r})", MERGE),
    (_set("use_dora"), "is DoRA, which rescales the outputs of a layer (use_dora)", MERGE),
    (_set("modules_to_save"), "holds whole modules that were trained (modules_to_save={modules_to_save})", MERGE),
    (_per_module("rank_pattern", "r"), "has ranks of its own for some modules (rank_pattern={rank_pattern})", MERGE),
    (
        _per_module("alpha_pattern", "lora_alpha"),
        "has alphas of its own for some modules (alpha_pattern={alpha_pattern})",
        MERGE,
    ),
    (lambda config: config.get("bias", "none") != "none", "holds trained biases (bias={bias!r})", MERGE),
    (_set("lora_bias"), "has a bias in its matrices (lora_bias)", MERGE),
    (_set("target_parameters"), "adapts parameters of experts (target_parameters={target_parameters})", MERGE),
    (_set("trainable_token_indices"), "holds trained tokens (trainable_token_indices)", MERGE),
    (_set("layer_replication"), "repeats layers of the base (layer_replication)", MERGE),
    (_set("fan_in_fan_out"), "is for transposed weights (fan_in_fan_out)", MERGE),
    (_changes_base, "changed the base's own weights (init_lora_weights={init_lora_weights!r})", SAVE_PLAIN),
    (_set("alora_invocation_tokens"), "acts behind certain tokens alone (alora_invocation_tokens)", MERGE),
    (_set("arrow_config"), "routes between adapters (arrow_config)", MERGE),
    (_set("use_qalora"), "pools the inputs of a layer (use_qalora)", MERGE),
    (lambda config: not config.get("lora_alpha"), "has lora_alpha={lora_alpha!r}, which llama.cpp reads as 1", MERGE),
)
"""When an adapter is refused, why, and what to do."""


def refusal(config: Config) -> tuple[str, str] | None:
    """The reason and the remedy; None for an adapter that a GGUF file can hold."""
    for applies, reason, remedy in REFUSALS:
        if applies(config):
            return reason.format_map(_Shown(config)), remedy
    return None


class _Shown(dict[str, Any]):
    """The values of a configuration; None for a missing one."""

    def __missing__(self, key: str) -> None:
        return None
