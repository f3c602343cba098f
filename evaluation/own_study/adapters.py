"""Refuses an adapter that was not trained on a study's base model, where the files in and beside its folder show it.

finetune.json, probe.json   the digest of [model] as it was trained with: base, dtype, template, [model] adapter
stands_on.json, asked_as.json   the adapter below it, and its prompt format (probes/model/adapter_files.py)
adapter_config.json         PEFT's own record of the base, as it was named
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.digests import folder_digest
from common.errors import BadInput
from evaluation.answering import require_readable
from probes.inputs.material import Material
from probes.model.load import base_digest, locate

if TYPE_CHECKING:
    from probes.model.load import Base

RECORDS = {"finetune.json": ("base",), "probe.json": ("key", "base")}
"""Files beside an adapter's folder -> the keys that lead to the digest of its base."""


def require_own_adapter(adapter: Path, material: Material) -> None:
    """BadInput for an adapter of another base model, of another prompt format, or that is damaged."""
    from probes.model.adapter_files import require_base_adapter, require_prompt_format

    require_readable(adapter)
    require_base_adapter(adapter, material.model, material.folder)
    _require_named_base(adapter, material)
    _require_recorded_base(adapter, material)
    require_prompt_format(adapter, material.model, material.folder)


def _require_recorded_base(adapter: Path, material: Material) -> None:
    """Refuse an adapter whose training record names another base. A combined adapter is not checked: its base is the
    bare model, while its run had an SFT adapter, too."""
    folder = adapter.resolve().parent
    recorded = "" if adapter.resolve().name == "combined" else next(_recorded(folder), "")
    own = base_digest(material.model, material.folder)
    if recorded and recorded != own:
        raise BadInput(
            f"{adapter} was trained with another [model] (base {recorded}) than that of this study ({own}): another "
            "base, revision, dtype, chat template or adapter below it; give the study that trained it"
        )


def _recorded(folder: Path) -> Iterator[str]:
    for name, keys in RECORDS.items():
        try:
            found: Any = json.loads((folder / name).read_text(encoding="utf-8"))
            for key in keys:
                found = found[key]
            yield str(found)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue


def _require_named_base(adapter: Path, material: Material) -> None:
    """Refuse another base than adapter_config.json names: another hub id, or a folder that holds different files. A
    folder that is gone says nothing, and neither does a hub id beside a folder."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    named, own = str(config.get("base_model_name_or_path") or ""), locate(material.model, material.folder)
    here, there = Path(own).is_dir(), Path(named).is_dir()
    hub_ids = not here and not there and named.count("/") == 1 and not named.startswith((".", "/"))
    other = hub_ids and named.lower() != own.lower()
    if here and there and Path(named).resolve() != Path(own):
        other = _files_of(Path(named)) != _files_of(Path(own))
    if other:
        raise BadInput(
            f"{adapter} was trained on the base model {named}, and the study's is {own}; give the study that trained it"
        )


def _files_of(model: Path) -> str:
    return folder_digest(sorted([*model.glob("*.safetensors"), *model.glob("*.bin"), model / "config.json"]))


@contextmanager
def put_on(base: "Base", adapter: Path | None) -> Iterator[Any]:
    """The model with an adapter, or the bare one. BadInput if the adapter's layers do not fit the model's."""
    if adapter is None:
        yield base.model
        return
    from contextlib import ExitStack

    from probes.model.adapter import adapted

    with ExitStack() as stack:
        try:
            model = stack.enter_context(adapted(base, adapter))
        except (RuntimeError, ValueError, KeyError) as error:
            why = " ".join(str(error).split())[:200]
            raise BadInput(
                f"{adapter} does not fit this study's base model ({why}); give the study that trained it"
            ) from None
        yield model
