"""Rules for recipes: which no probe may run, and which knobs have no effect in a recipe.

A rule returns a sentence with its law, the value and the remedy. The trainer's own rules (the constructors of
DPOTrainer and ORPOTrainer, TRL 1.16) are checked here, so that a recipe is refused before any compute.
"""

from collections.abc import Callable

from common.errors import IllegalRecipe
from lanes.recipe import Recipe

SORTED_LOSSES = ("aot", "aot_unpaired")
SMOOTHED_LOSSES = ("exo_pair", "robust", "aot", "aot_unpaired")


def _exo_pair_is_smoothed(recipe: Recipe) -> str | None:
    if recipe.objective == "dpo" and recipe.dpo_loss == "exo_pair" and recipe.label_smoothing == 0:
        return "dpo_loss=exo_pair takes a logarithm of label_smoothing=0; set label_smoothing above 0, 0.001 say"
    return None


def _robust_is_identifiable(recipe: Recipe) -> str | None:
    if recipe.objective == "dpo" and recipe.dpo_loss == "robust" and recipe.label_smoothing >= 0.5:
        return (
            f"dpo_loss=robust divides by 1 - 2 x label_smoothing, which {recipe.label_smoothing:g} makes "
            "zero or negative; set label_smoothing below 0.5"
        )
    return None


def _sorted_losses_see_a_batch(recipe: Recipe) -> str | None:
    if sees_whole_batch(recipe) and recipe.effective_batch < 2:
        return (
            f"dpo_loss={recipe.dpo_loss} sorts the pairs of a batch, and effective_batch={recipe.effective_batch} "
            "leaves nothing to sort; set effective_batch to 2 or more"
        )
    return None


def _head_is_not_adapted(recipe: Recipe) -> str | None:
    if "lm_head" in recipe.lora_targets:
        return "lora_targets holds lm_head, which DPOTrainer reads directly and never trains; take it out"
    return None


def _targets_are_named(recipe: Recipe) -> str | None:
    if not recipe.lora_targets:
        return 'lora_targets is empty, so nothing would be trained; name modules or use ["all-linear"]'
    if "all-linear" in recipe.lora_targets and len(recipe.lora_targets) > 1:
        return 'lora_targets mixes "all-linear" with module names; keep one or the other'
    return None


def sees_whole_batch(recipe: Recipe) -> bool:
    """Whether the loss depends on which rows share a forward pass, so that the effective batch is never divided."""
    return recipe.objective == "dpo" and recipe.dpo_loss in SORTED_LOSSES


RULES: tuple[Callable[[Recipe], str | None], ...] = (
    _exo_pair_is_smoothed,
    _robust_is_identifiable,
    _sorted_losses_see_a_batch,
    _head_is_not_adapted,
    _targets_are_named,
)


def check_recipe(recipe: Recipe) -> None:
    """Raise IllegalRecipe with the first broken rule."""
    for rule in RULES:
        broken = rule(recipe)
        if broken:
            raise IllegalRecipe(broken)


def inert(recipe: Recipe, knob: str) -> str | None:
    """Why moving ``knob`` would change nothing in this recipe, or None when it would."""
    if recipe.objective != "dpo" and knob in ("dpo_loss", "label_smoothing"):
        return f"{knob} has no effect with objective={recipe.objective}"
    if knob == "label_smoothing" and recipe.dpo_loss not in SMOOTHED_LOSSES:
        return f"label_smoothing has no effect with dpo_loss={recipe.dpo_loss}"
    if knob == "warmup" and recipe.scheduler == "constant":
        return "warmup has no effect with scheduler=constant"
    return None
