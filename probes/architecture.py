"""What a study may ask of its model, held against the model's configuration and tokenizer before anything is trained.

The model is built without weights. One that lies in no folder and not in the cache is left for the run to say, and so
is one that cannot be built here. torch and transformers are imported when a model is looked at, not before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanes import Recipe
from lanes.errors import BadInput, MissingRequirement
from lanes.knobs import Knob
from probes.base import load_quietly, load_renderer, locate, locate_adapter
from probes.material import Material
from probes.rendered import rendered_digest
from probes.rendering import Renderer
from probes.settings import ModelSettings


@dataclass(frozen=True)
class Reach:
    """What is asked of a model: each value of lora_targets, the largest lora_dropout and max_length, the smallest
    max_length, and whether it answers the prompts after training."""

    targets: tuple[tuple[str, ...], ...]
    dropout: float
    max_length: int
    min_length: int
    answers: bool = True

    @classmethod
    def of(cls, recipe: Recipe, knobs: Sequence[Knob] = (), answers: bool = True) -> "Reach":
        """By one recipe, and by all that these knobs can make of it."""

        def values(name: str) -> list[Any]:
            return [getattr(recipe, name), *(value for knob in knobs if knob.name == name for value in knob.values)]

        targets = tuple(dict.fromkeys(tuple(names) for names in values("lora_targets")))
        lengths = values("max_length")
        return cls(targets, max(values("lora_dropout")), max(lengths), min(lengths), answers)


def require_fit(material: Material, reach: Reach) -> Renderer | None:
    """The model's tokenizer, as the study has it render; None where the model is not at hand. BadInput in one sentence
    for the first thing that this model cannot do."""
    opened = _opened(material.model, material.folder)
    if opened is None:
        return None
    model, renderer = opened
    if reach.answers:
        rendered_digest(renderer, material.all_prompts)
    for told in problems(model, renderer, material, reach):
        raise BadInput(told)
    return renderer


def problems(model: Any, renderer: Renderer, material: Material, reach: Reach) -> Iterator[str]:
    """Each thing that a model cannot do for a study, as one sentence. The model may be on the meta device."""
    from probes.targets import problem

    yield from _of_tokenizer(model, renderer.tokenizer)
    yield from _of_length(model.config.get_text_config(), renderer, material, reach)
    for names in reach.targets:
        if told := problem(model, names, reach.dropout):
            yield told
    if (adapter := locate_adapter(material.model, material.folder)) is not None:
        from probes.sft_adapter import read

        read(model, adapter)


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


def _of_length(config: Any, renderer: Renderer, material: Material, reach: Reach) -> Iterator[str]:
    positions = _positions(config)
    if positions is None:
        return
    if reach.max_length > positions:
        yield (
            f"max_length is at most the model's {positions} positions, and it can be {reach.max_length}; lower it "
            "under [recipe], or its values under [lanes.hyperparameters]"
        )
    more = material.probe.max_new_tokens
    longest = _longest_prompt(renderer, material) if reach.answers else 0
    if longest and longest + more > positions:
        yield (
            f"a prompt and its answer share the model's {positions} positions, and a prompt has {longest} tokens and "
            f"max_new_tokens={more}; lower max_new_tokens under [probe], or shorten the prompt"
        )


def _positions(config: Any) -> int | None:
    """How many positions a model has, stretched ones (YaRN's, say) included; None where it has no limit of its own."""
    plain = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or {}
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    stretched = int(original * factor) if original and factor else 0
    return max(plain, stretched) if isinstance(plain, int) and plain > 0 else None


def _longest_prompt(renderer: Renderer, material: Material) -> int:
    """In tokens, as the model is asked it."""
    return max(len(renderer.question(prompt.asked).ids) for prompt in material.all_prompts)


def _opened(settings: ModelSettings, folder: Path) -> tuple[Any, Renderer] | None:
    """The model without weights, and its tokenizer; None for one that is not at hand, or that cannot be built so."""
    where = locate(settings, folder)
    if not _at_hand(where, settings.revision):
        return None
    load_quietly()
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    options = {"revision": settings.revision, "trust_remote_code": settings.trust_remote_code, "local_files_only": True}
    try:
        renderer = load_renderer(settings, folder, local=True)
        config = AutoConfig.from_pretrained(where, **options)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=settings.trust_remote_code)
    except (OSError, ValueError, RuntimeError, ImportError, NotImplementedError, MissingRequirement):
        return None  # the run loads it for good, and says what is wrong
    return model, renderer


def _at_hand(where: str, revision: str | None) -> bool:
    if Path(where).is_dir():
        return (Path(where) / "config.json").is_file()
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(where, "config.json", revision=revision), str)
