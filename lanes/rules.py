"""Rules for recipes: which recipes no probe may run, and which knobs have no effect in a recipe.

A rule returns None, or a sentence with the law, the value and the remedy. The trainer's own rules (the constructors of
DPOTrainer and ORPOTrainer, TRL 1.16) are checked here, so that an illegal recipe is refused before any compute.
"""

from collections.abc import Callable

from common.errors import IllegalRecipe
from lanes.recipe import Recipe, SourceFilter

OF_DPO = ("dpo_loss", "label_smoothing", "second_loss", "second_weight", "third_loss", "third_weight", "ld_alpha")
SORTED_LOSSES = ("aot", "aot_unpaired")
SMOOTHED_LOSSES = ("exo_pair", "robust", "aot", "aot_unpaired")


def _exo_pair_is_smoothed(recipe: Recipe) -> str | None:
    if "exo_pair" in losses(recipe) and recipe.label_smoothing == 0:
        return "the loss exo_pair takes a logarithm of label_smoothing=0; set label_smoothing above 0, such as 0.001"
    return None


def _robust_is_identifiable(recipe: Recipe) -> str | None:
    if "robust" in losses(recipe) and recipe.label_smoothing >= 0.5:
        return (
            f"the loss robust divides by 1 - 2 x label_smoothing, which {recipe.label_smoothing:g} makes "
            "zero or negative; set label_smoothing below 0.5"
        )
    return None


def _sorted_losses_see_a_batch(recipe: Recipe) -> str | None:
    if sees_whole_batch(recipe) and recipe.effective_batch < 2:
        return (
            f"the loss {'+'.join(losses(recipe))} sorts the pairs of a batch, and effective_batch="
            f"{recipe.effective_batch} leaves nothing to sort; set effective_batch to 2 or more"
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
    return any(kind in SORTED_LOSSES for kind in losses(recipe))


def losses(recipe: Recipe) -> tuple[str, ...]:
    """The DPO losses whose weighted sum a recipe trains on; empty with ORPO."""
    if recipe.objective != "dpo":
        return ()
    return (recipe.dpo_loss, *(kind for kind in (recipe.second_loss, recipe.third_loss) if kind != "none"))


def _losses_are_distinct(recipe: Recipe) -> str | None:
    kinds = losses(recipe)
    again = next((kind for place, kind in enumerate(kinds) if kind in kinds[:place]), None)
    if again:
        return f"the loss {again} is named twice, which only scales it; name another second_loss or third_loss, or none"
    if recipe.objective == "dpo" and recipe.second_loss == "none" != recipe.third_loss:
        return f"third_loss={recipe.third_loss} stands without a second_loss; name it second_loss"
    return None


def _orthogonal_init_is_possible(recipe: Recipe) -> str | None:
    if recipe.lora_init != "orthogonal":
        return None
    if recipe.lora_rank % 2:
        return (
            f"lora_init=orthogonal divides the rank among two matrices, and lora_rank={recipe.lora_rank} is odd; make "
            "it even"
        )
    if recipe.quantization != "none":
        return (
            f"lora_init=orthogonal takes the data type of the base's weights, and quantization={recipe.quantization} "
            "stores them as whole numbers; set lora_init to kaiming or gaussian, or quantization to none"
        )
    return None


RULES: tuple[Callable[[Recipe], str | None], ...] = (
    _exo_pair_is_smoothed,
    _robust_is_identifiable,
    _sorted_losses_see_a_batch,
    _head_is_not_adapted,
    _targets_are_named,
    _losses_are_distinct,
    _orthogonal_init_is_possible,
)


def check_recipe(recipe: Recipe) -> None:
    """Raise IllegalRecipe with the first broken rule."""
    for rule in RULES:
        broken = rule(recipe)
        if broken:
            raise IllegalRecipe(broken)


def inert(recipe: Recipe, knob: str) -> str | None:
    """Why moving ``knob`` would change nothing in this recipe, or None when it would."""
    if recipe.objective != "dpo" and knob in OF_DPO:
        return f"{knob} has no effect with objective={recipe.objective}"
    if knob == "label_smoothing" and not set(losses(recipe)) & set(SMOOTHED_LOSSES):
        return f"label_smoothing has no effect with dpo_loss={recipe.dpo_loss}"
    for loss, weight in (("second_loss", "second_weight"), ("third_loss", "third_weight")):
        if knob == weight and getattr(recipe, loss) == "none":
            return f"{weight} has no effect with {loss}=none"
    part, _, source = knob.partition(".")
    if part in SourceFilter.model_fields and source not in recipe.mixture:
        return f"{knob} has no effect where the source {source} has the weight 0"
    if knob == "warmup" and recipe.scheduler == "constant":
        return "warmup has no effect with scheduler=constant"
    return None
