"""Checks before training whether a model can do what a study needs, from its configuration and tokenizer.

The model is built without weights. A hub model that is not in the cache is only checked by the run, and so is one that
cannot be built without weights; a broken one is refused. torch and transformers are imported when a model is checked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import BadInput, MissingRequirement
from lanes import Recipe
from lanes.knobs import Knob
from probes.inputs.files.records import unit_of
from probes.inputs.material import Material
from probes.inputs.settings import ModelSettings
from probes.model.adapter_files import problems_beside
from probes.model.load import (
    ADAPTER_CONFIG,
    is_gguf,
    load_quietly,
    load_renderer,
    loading,
    locate,
    locate_adapter,
    options,
    stored,
)
from probes.rendering.renderer import Renderer, Unrenderable

TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")  # one of them has the vocabulary
WEIGHTS = (".safetensors", ".bin", ".gguf")


@dataclass(frozen=True)
class Requirements:
    """What a study needs of a model: all values of lora_targets, the largest lora_dropout and max_length, the smallest
    max_length, whether the trained model answers the prompts, and whether an adapter can be DoRA."""

    targets: tuple[tuple[str, ...], ...]
    dropout: float
    max_length: int
    min_length: int
    answers: bool = True
    dora: bool = False

    @classmethod
    def of(cls, recipe: Recipe, knobs: Sequence[Knob] = (), answers: bool = True) -> "Requirements":
        """The needs of one recipe, and of all recipes that these knobs can make of it."""

        def values(name: str) -> list[Any]:
            return [getattr(recipe, name), *(value for knob in knobs if knob.name == name for value in knob.values)]

        targets = tuple(dict.fromkeys(tuple(names) for names in values("lora_targets")))
        lengths = values("max_length")
        return cls(
            targets, max(values("lora_dropout")), max(lengths), min(lengths), answers, "dora" in values("lora_variant")
        )


def require_fit(material: Material, required: Requirements) -> Renderer | None:
    """The renderer of the study's model, or None if the model is not on this machine.

    BadInput for the first thing that the model cannot do.
    """
    opened = _opened(material.model, material.folder)
    if opened is None:
        return None
    model, renderer = opened
    if required.answers:
        _require_renderable_prompts(renderer, material)
    for problem in problems(model, renderer, material, required):
        raise BadInput(problem)
    return renderer


def _require_renderable_prompts(renderer: Renderer, material: Material) -> None:
    """BadInput for the first prompt that cannot be rendered, with its line."""
    for prompt in material.all_prompts:
        try:
            renderer.question(prompt.asked)
        except Unrenderable as error:
            place = f"{material.prompt_file}, {unit_of(material.prompt_file)} {prompt.line}"
            raise BadInput(f"{place}: the prompt {prompt.id!r} cannot be asked: {error}") from None


def problems(model: Any, renderer: Renderer, material: Material, required: Requirements) -> Iterator[str]:
    """A sentence for each thing that the model cannot do. The model may be on the meta device."""
    from probes.model.adapter import peft_refusal
    from probes.model.target_modules import problem

    yield from _of_tokenizer(model, renderer.tokenizer)
    yield from _of_dora(material, required)
    yield from _of_length(model.config.get_text_config(), renderer, material, required)
    for names in required.targets:
        if refusal := problem(model, names, required.dropout) or peft_refusal(
            model, names, required.dropout, required.dora
        ):
            yield refusal
    if (adapter := locate_adapter(material.model, material.folder)) is not None:
        from probes.model.sft_adapter import read

        read(model, adapter)
        yield from problems_beside(adapter, material.model, renderer)


def _of_dora(material: Material, required: Requirements) -> Iterator[str]:
    if required.dora and material.model.adapter is not None:
        yield (
            "an adapter on top of [model] adapter only adds to the outputs of a layer, so that both can be combined, "
            "and lora_variant can be dora, which scales them; set it to lora, or merge that adapter into the model"
        )
    if required.dora and material.serving.kind == "endpoint":
        yield (
            "the servers of [serving] load plain LoRA adapters, and lora_variant can be dora; set it to lora, or let "
            'the workers answer with kind = "local"'
        )


def _of_tokenizer(model: Any, tokenizer: Any) -> Iterator[str]:
    tokens, rows = 1 + max(tokenizer.get_vocab().values()), model.get_input_embeddings().weight.shape[0]
    if tokens > rows:
        yield (
            f"every token needs a row in the model's embedding, and the tokenizer has {tokens} tokens and the "
            f"embedding {rows} rows; take the tokenizer that belongs to the model, or resize the embedding and save it"
        )
    if tokenizer.eos_token is None:
        yield (
            "an answer ends with the tokenizer's eos_token, and this tokenizer has none; set eos_token in its "
            "tokenizer_config.json"
        )


def _of_length(config: Any, renderer: Renderer, material: Material, required: Requirements) -> Iterator[str]:
    positions = _positions(config)
    if positions is None:
        return
    if required.max_length > positions:
        yield (
            f"max_length is at most the model's {positions} positions, and it can be {required.max_length}; lower it "
            "under [recipe], or its values under [lanes.hyperparameters]"
        )
    more = material.probe.max_new_tokens
    longest = _longest_prompt(renderer, material) if required.answers else 0
    if longest and longest + more > positions:
        yield (
            f"a prompt and its answer share the model's {positions} positions, and a prompt has {longest} tokens and "
            f"max_new_tokens={more}; lower max_new_tokens under [probe], or shorten the prompt"
        )


def _positions(config: Any) -> int | None:
    """The model's positions, including those that YaRN and the like add; None if it has no limit."""
    plain = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or {}
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    stretched = int(original * factor) if original and factor else 0
    return max(plain, stretched) if isinstance(plain, int) and plain > 0 else None


def _longest_prompt(renderer: Renderer, material: Material) -> int:
    """The length of the longest rendered prompt in tokens."""
    return max(len(renderer.question(prompt.asked).ids) for prompt in material.all_prompts)


def _opened(settings: ModelSettings, folder: Path) -> tuple[Any, Renderer] | None:
    """The model without weights, and its renderer.

    None for a hub id that is not in the cache, and for a model that cannot be built without weights; BadInput for a
    broken one.
    """
    where = locate(settings, folder)
    if Path(where).is_dir():
        _require_whole(settings, Path(where))
    elif not is_gguf(where) and not _cached(settings, where):
        return None
    load_quietly()
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        renderer = load_renderer(settings, folder, local=True)
        with loading(settings, where):
            config = AutoConfig.from_pretrained(**stored(where), **options(settings), local_files_only=True)
            _require_causal(settings, config)
            try:
                with torch.device("meta"):
                    model = AutoModelForCausalLM.from_config(config, trust_remote_code=settings.trust_remote_code)
            except (RuntimeError, ImportError, NotImplementedError):
                return None  # the run loads it with weights, and reports the error
    except MissingRequirement:
        if settings.trust_remote_code or not any(_in_cache(settings, where, name) for name in TOKENIZER):
            return None  # the cache has only a part of it, and the run downloads the rest
        raise
    return model, renderer


def _require_causal(settings: ModelSettings, config: Any) -> None:
    """BadInput for a model that is no decoder. An encoder would load, but it sees the tokens that it should predict."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    kind = str(config.model_type)
    named = f"nightlane trains causal language models, and [model] path={settings.path!r} ({kind})"
    if getattr(config, "is_encoder_decoder", False):
        raise BadInput(f"{named} is an encoder with a decoder; give a decoder-only model")
    masked = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "causal", False)
    if masked and not getattr(config, "is_decoder", False):
        raise BadInput(
            f"{named} is an encoder, whose tokens see those that follow them; give a decoder-only model, or set "
            "is_decoder in its config.json if it was trained as one"
        )
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not getattr(config, "auto_map", None):
        raise BadInput(f"{named} cannot be loaded as one by transformers; give a decoder-only model")


def _require_whole(settings: ModelSettings, model: Path) -> None:
    """BadInput for a folder without a configuration or weights."""
    named = f"[model] path={settings.path!r} is a folder"
    if not (model / "config.json").is_file():
        remedy = "give the folder of a model"
        if (model / ADAPTER_CONFIG).is_file():
            remedy = "it holds an adapter: name the model it was trained on, and this folder with adapter under [model]"
        raise BadInput(f"{named} without config.json, so it holds no model; {remedy}")
    if not any(path.suffix in WEIGHTS for path in model.iterdir()):
        raise BadInput(f"{named} without weights (no {', '.join(WEIGHTS)} file); restore them, or give another folder")


def _cached(settings: ModelSettings, where: str) -> bool:
    """Whether the cache has the hub model; BadInput for a name without an owner that is neither a folder nor cached."""
    from huggingface_hub.errors import HFValidationError

    try:
        if _in_cache(settings, where, "config.json"):
            return True
    except HFValidationError as error:
        raise BadInput(
            f"[model] path={where!r} is neither a folder nor a hub id ({str(error).splitlines()[0]}); check the path"
        ) from None
    if "/" not in where:
        raise BadInput(
            f"[model] path={where!r} is neither a folder beside the study nor a hub model in the cache; check the "
            "path, or give the hub id with its owner, as in owner/name"
        )
    return False


def _in_cache(settings: ModelSettings, where: str, name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(where, name, revision=settings.revision), str)
