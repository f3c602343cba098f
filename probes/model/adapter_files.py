"""What the files of an adapter say of the adapter below it: one that was trained on top of an SFT adapter needs that.

Each adapter that is trained on such a base gets ``stands_on.json``; so does one that holds both. One of a full-length
run says in ``asked_as.json`` how its study asks.
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

MARK, ASKED = "stands_on.json", "asked_as.json"
TEMPLATE, VOCABULARY = "chat_template.jinja", "tokenizer.json"  # as transformers names them
SAMPLE = "Say hello in two words."


def mark(adapter: Path, digest: str, held: bool) -> None:
    """Say of a saved adapter that it was trained on top of another. ``held``: it holds that one's layers as well."""
    text = json.dumps({"digest": digest, "held": held}, indent=1) + "\n"
    (adapter / MARK).write_text(text, encoding="utf-8")


def require_its_base(adapter: Path, settings: ModelSettings, folder: Path) -> None:
    """BadInput for an adapter that was trained on top of another than the one that the model has on."""
    below = locate_adapter(settings, folder)
    digest = adapter_digest(below) if below else ""
    needed, held = _marked(adapter)
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


def require_no_other_below(adapter: Path) -> None:
    """BadInput for an adapter as ``[model] adapter`` that needs another below it."""
    needed, held = _marked(adapter)
    if needed and not held:
        raise BadInput(
            f"{adapter} ([model] adapter) was trained on top of another adapter, and only one is put on the model; "
            "give the adapter that holds both (combined/ beside it), or merge the first into the model"
        )


def _marked(adapter: Path) -> tuple[str, bool]:
    """The digest of the adapter below, and whether it is held in this one; ("", False) without a mark."""
    path = adapter / MARK
    if not path.exists():
        return "", False
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return str(said["digest"]), bool(said["held"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read ({error}); restore it, or train the adapter again") from None


def note_asking(adapter: Path, renderer: Renderer) -> None:
    """Say of a saved adapter how it was trained to be asked."""
    text = json.dumps({"digest": _asking(renderer)}) + "\n"
    (adapter / ASKED).write_text(text, encoding="utf-8")


def is_asked_as_trained(adapter: Path, renderer: Renderer) -> bool:
    """Whether a model asks as the study did that trained this adapter; true where no note says how that was."""
    path = adapter / ASKED
    if not path.exists():
        return True
    try:
        digest = str(json.loads(path.read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read ({error}); restore it, or train the adapter again") from None
    return digest == _asking(renderer)


def require_its_asking(adapter: Path, settings: ModelSettings, folder: Path) -> None:
    """BadInput for an adapter whose study asks otherwise than these settings do; nothing is known without a note."""
    if (adapter / ASKED).exists() and not is_asked_as_trained(adapter, load_renderer(settings, folder)):
        raise BadInput(
            f"an adapter is asked as it was trained, and {adapter} was trained with another chat template or tokenizer "
            "than this model is asked with; give the study that it was trained by with --study in place of --model"
        )


def _asking(renderer: Renderer) -> str:
    """Names how a prompt becomes token ids: by template, its arguments, date and tokenizer."""
    try:
        return digest_of(list(renderer.question(SAMPLE).ids))
    except Unrenderable as error:
        return digest_of(str(error))


def problems_beside(adapter: Path, settings: ModelSettings, renderer: Renderer) -> Iterator[str]:
    """What lies beside an SFT adapter and says that it was trained on other token ids than the study would ask."""
    if not is_asked_as_trained(adapter, renderer):
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
        except Exception as error:  # the tokenizers library has no other
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
            said = json.loads((adapter / "tokenizer_config.json").read_text(encoding="utf-8"))
            return _default(said.get("chat_template"))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise BadInput(
            f"the chat template in {adapter} cannot be read ({error}); restore its files, or remove them to use the "
            "model's own"
        ) from None
    return ""


def _default(template: Any) -> str:
    """Of the templates of a tokenizer the one that is used unless another is named."""
    if isinstance(template, list):
        template = {one["name"]: one["template"] for one in template}
    if isinstance(template, dict):
        template = template.get("default")
    return str(template or "").strip()
