"""Notes beside an adapter: which base adapter it needs, and how its prompts were rendered.

An adapter that was trained on top of an SFT adapter needs that one as its base adapter; ``stands_on.json`` has its
digest, also for an adapter that contains both. ``asked_as.json`` of a full-length run has the study's prompt format.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.digests import digest_of
from common.errors import BadInput
from probes.inputs.settings import ModelSettings
from probes.model.load import adapter_digest, load_renderer, locate_adapter
from probes.rendering.renderer import Renderer, Unrenderable

BASE_ADAPTER, PROMPT_FORMAT = "stands_on.json", "asked_as.json"
TEMPLATE, VOCABULARY = "chat_template.jinja", "tokenizer.json"  # the names that transformers uses
SAMPLE = "Say hello in two words."


def note_base_adapter(adapter: Path, digest: str, held: bool) -> None:
    """Note the base adapter of a saved adapter. ``held``: the saved adapter contains its layers, too."""
    text = json.dumps({"digest": digest, "held": held}, indent=1) + "\n"
    (adapter / BASE_ADAPTER).write_text(text, encoding="utf-8")


def require_base_adapter(adapter: Path, settings: ModelSettings, folder: Path) -> None:
    """BadInput for an adapter that was trained on top of another base adapter than the model's."""
    below = locate_adapter(settings, folder)
    digest = adapter_digest(below) if below else ""
    needed, held = _base_adapter(adapter)
    if held and digest:
        raise BadInput(
            f"{adapter} holds the adapter that it was trained on top of, and the model has one on already "
            f"({settings.adapter}); leave one of them out"
        )
    if needed and not held and needed != digest:
        has = f"has {settings.adapter} on" if digest else "has none on"
        raise BadInput(
            f"{adapter} was trained on top of another adapter, and the model {has}; name that adapter too, or give the "
            "adapter that holds both"
        )


def require_no_base_adapter(adapter: Path) -> None:
    """BadInput for a ``[model] adapter`` that needs a base adapter itself."""
    needed, held = _base_adapter(adapter)
    if needed and not held:
        raise BadInput(
            f"{adapter} ([model] adapter) was trained on top of another adapter, and only one is put on the model; "
            "give the adapter that holds both (combined/ beside it), or merge the first into the model"
        )


def _base_adapter(adapter: Path) -> tuple[str, bool]:
    """The digest of the base adapter, and whether this adapter contains it; ("", False) without a note."""
    path = adapter / BASE_ADAPTER
    if not path.exists():
        return "", False
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        return str(note["digest"]), bool(note["held"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read ({error}); restore it, or train the adapter again") from None


def note_prompt_format(adapter: Path, renderer: Renderer) -> None:
    """Note the prompt format with which a saved adapter was trained."""
    text = json.dumps({"digest": _prompt_format(renderer)}) + "\n"
    (adapter / PROMPT_FORMAT).write_text(text, encoding="utf-8")


def has_prompt_format(adapter: Path, renderer: Renderer) -> bool:
    """Whether this prompt format is that of the adapter's training; true if the adapter has no note of it."""
    path = adapter / PROMPT_FORMAT
    if not path.exists():
        return True
    try:
        digest = str(json.loads(path.read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read ({error}); restore it, or train the adapter again") from None
    return digest == _prompt_format(renderer)


def require_prompt_format(adapter: Path, settings: ModelSettings, folder: Path) -> None:
    """BadInput for an adapter that was trained with another prompt format; one without a note is accepted."""
    if (adapter / PROMPT_FORMAT).exists() and not has_prompt_format(adapter, load_renderer(settings, folder)):
        raise BadInput(
            f"an adapter is asked as it was trained, and {adapter} was trained with another chat template or tokenizer "
            "than this model is asked with; give the study that it was trained by with --study in place of --model"
        )


def _prompt_format(renderer: Renderer) -> str:
    """The digest of a sample prompt's ids, which depend on template, its arguments, date and tokenizer."""
    try:
        return digest_of(list(renderer.question(SAMPLE).ids))
    except Unrenderable as error:
        return digest_of(str(error))


def problems_beside(adapter: Path, settings: ModelSettings, renderer: Renderer) -> Iterator[str]:
    """Files beside an SFT adapter that show that it was trained with other token ids than those of the study."""
    if not has_prompt_format(adapter, renderer):
        yield (
            f"an SFT adapter is asked as it was trained, and {adapter} was trained with another chat template, "
            "chat_template_kwargs, date or tokenizer than this study asks with (asked_as.json); set these under "
            "[model] as the study has them that trained it"
        )
    own, beside = _default(renderer.tokenizer.chat_template), _template_beside(adapter)
    if beside and beside != own and settings.chat_template is None and settings.chat == "auto":
        has = "has another" if own else "has none"
        file = f'"{settings.adapter}/{TEMPLATE}"' if (adapter / TEMPLATE).is_file() else "a file that holds it"
        yield (
            f"an SFT adapter is asked by the template that it was trained with, and {adapter} holds a chat template "
            f'and the model {has}; set chat_template = {file} under [model], or chat_template or chat = "never" as it '
            "was trained"
        )
    if (adapter / VOCABULARY).is_file():
        from tokenizers import Tokenizer

        try:
            tokens = Tokenizer.from_file(str(adapter / VOCABULARY)).get_vocab(with_added_tokens=True)
        except Exception as error:  # the tokenizers library raises no other kind
            yield f"{adapter / VOCABULARY} cannot be read ({error}); restore it, or remove it to use the model's own"
            return
        known = renderer.tokenizer.get_vocab()
        if odd := [token for token, number in sorted(tokens.items()) if known.get(token) != number]:
            yield (
                f"an SFT adapter goes with the tokenizer that it was trained with, and {adapter / VOCABULARY} has "
                f"{odd[0]!r} as token {tokens[odd[0]]} and the model's has it as {known.get(odd[0], 'none')}; give the "
                "model that it was trained on, or remove that file if no row of its training had such tokens"
            )


def _template_beside(adapter: Path) -> str:
    """The chat template in an adapter's folder, as transformers saves one; "" for none."""
    try:
        if (adapter / TEMPLATE).is_file():
            return (adapter / TEMPLATE).read_text(encoding="utf-8").strip()
        if (adapter / "tokenizer_config.json").is_file():
            settings = json.loads((adapter / "tokenizer_config.json").read_text(encoding="utf-8"))
            return _default(settings.get("chat_template"))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise BadInput(
            f"the chat template in {adapter} cannot be read ({error}); restore its files, or remove them to use the "
            "model's own"
        ) from None
    return ""


def _default(template: Any) -> str:
    """The default among a tokenizer's chat templates."""
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}
    if isinstance(template, dict):
        template = template.get("default")
    return str(template or "").strip()
