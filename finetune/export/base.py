"""The base model that an exported adapter goes on: the unquantised one, and the one that the adapter was trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.digests import folder_digest
from common.errors import BadInput, NightlaneError
from finetune.export.trained import TrainedAdapter
from probes.inputs.settings import ModelSettings
from probes.model.load import is_gguf, load_quietly, loading, locate, options, stored

REMEDY = "name the unquantised model that it was trained on with --base"


@dataclass(frozen=True)
class ExportBase:
    """``settings``: like ``[model]`` of a study, without an adapter; ``folder``: where its relative paths start.
    ``config``: transformers' configuration of the text model."""

    settings: ModelSettings
    folder: Path
    config: Any

    @property
    def name(self) -> str:
        """As the user named it."""
        return self.settings.path

    @property
    def where(self) -> str:
        """The folder or GGUF file, else the hub id."""
        return locate(self.settings, self.folder)

    @property
    def hub_id(self) -> str:
        """ "" for a model on this machine."""
        return "" if Path(self.where).exists() else self.where


def base_for(trained: TrainedAdapter, settings: ModelSettings | None, folder: Path) -> ExportBase:
    """The base in ``settings``, or the one that PEFT noted in the adapter.

    BadInput if the base is quantised or unknown, or if its weights differ from those of the base that PEFT noted.
    """
    load_quietly()
    named = trained.named_base
    if settings is None and not named:
        raise BadInput(f"{trained.adapter} does not name its base model; {REMEDY}")
    chosen = settings or ModelSettings(path=named, revision=trained.config.get("revision"))
    where = locate(chosen, folder)
    config = _config(chosen, where)
    if method := _quantisation(config):
        raise BadInput(f"an export is for the unquantised base, and {chosen.path} is quantised ({method}); {REMEDY}")
    _require_same_weights(trained, chosen, Path(where))
    return ExportBase(chosen, folder, config.get_text_config())


def _config(settings: ModelSettings, where: str) -> Any:
    from transformers import AutoConfig

    with loading(settings, where):
        return AutoConfig.from_pretrained(**stored(where), **options(settings))


def _quantisation(config: Any) -> str:
    """The method by which a model's weights are quantised; "" for ordinary weights."""
    found = getattr(config, "quantization_config", None)
    if found is None:
        return ""
    values = found if isinstance(found, dict) else vars(found)
    return " ".join(str(values[name]) for name in ("quant_method", "_load_in_4bit") if values.get(name))


def _require_same_weights(trained: TrainedAdapter, settings: ModelSettings, where: Path) -> None:
    """BadInput if the folder that PEFT noted holds other weights. Nothing is compared if that folder is gone, if either
    base is a hub id, or if the noted one is quantised and so has other files than its original."""
    noted = Path(trained.named_base)
    if not trained.named_base or not noted.is_dir() or not where.is_dir() or noted.resolve() == where.resolve():
        return
    try:
        quantised = bool(_quantisation(_config(ModelSettings(path=str(noted)), str(noted))))
    except NightlaneError:
        return
    if not quantised and _weights(noted) != _weights(where):
        raise BadInput(
            f"{trained.adapter} was trained on {noted}, and {settings.path} has other weights; give --base {noted}"
        )


def _weights(model: Path) -> str:
    return folder_digest(sorted([*model.glob("*.safetensors"), *model.glob("*.bin")]))


def require_gguf_source(base: ExportBase) -> None:
    """BadInput for a base that llama.cpp's converter cannot read."""
    if is_gguf(base.where) or not Path(base.where).is_dir():
        raise BadInput(
            f"--base {base.name} is not a folder with a model, which llama.cpp converts; give the folder, or the base "
            "as GGUF with --base-gguf"
        )
