"""What is exported: the adapter of a full-length run, or any adapter that PEFT saved."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.digests import require_own_digest
from common.errors import BadInput
from evaluation.answering import require_readable
from finetune.manifest import COMBINED, NAME, require_whole
from probes.inputs.settings import ModelSettings
from probes.model.adapter_files import require_base_adapter
from probes.model.load import ADAPTER_CONFIG, ADAPTER_WEIGHTS

RECIPE = "recipe.toml"
ANSWERS = "CAUSAL_LM"


@dataclass(frozen=True)
class TrainedAdapter:
    """``config``: adapter_config.json. ``run``: finetune.json, and ``recipe``: recipe.toml of the run that trained it;
    empty for an adapter without such a run."""

    adapter: Path
    config: Mapping[str, Any]
    run: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def named_base(self) -> str:
        """The base as PEFT noted it; "" for none."""
        return str(self.config.get("base_model_name_or_path") or "")

    @property
    def holds_two(self) -> bool:
        """Whether it also contains the SFT adapter that it was trained on top of."""
        return self.adapter.name == COMBINED


def find_trained(folder: Path) -> TrainedAdapter:
    """The adapter in ``folder``: a full-length run's, or one that PEFT saved. If the run trained on top of an SFT
    adapter, it is the combined one, which holds both.

    BadInput for a run that is not complete, an adapter that is damaged, and one that needs another below it.
    """
    adapter = _adapter_in(folder)
    if not (adapter / ADAPTER_WEIGHTS).is_file() or not (adapter / ADAPTER_CONFIG).is_file():
        raise BadInput(
            f"{folder} holds no adapter ({ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}); give the folder that nightlane "
            "finetune or PEFT wrote one to"
        )
    require_readable(adapter)
    require_whole(adapter)
    require_base_adapter(adapter, ModelSettings(path=""), Path())
    beside, config = adapter.resolve().parent, _json(adapter / ADAPTER_CONFIG)
    if config.get("task_type") not in (None, ANSWERS):
        raise BadInput(
            f"only a model that generates text is exported (task_type {ANSWERS}), and {adapter} has task_type "
            f"{config['task_type']}; load it with PEFT"
        )
    return TrainedAdapter(
        adapter=adapter,
        config=config,
        run=_json(beside / NAME) if (beside / NAME).is_file() else {},
        recipe=_toml(beside / RECIPE) if (beside / NAME).is_file() and (beside / RECIPE).is_file() else {},
    )


def _adapter_in(folder: Path) -> Path:
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder; give the folder of a full-length run, or of an adapter")
    if (folder / ADAPTER_CONFIG).exists():
        return folder
    if (folder / NAME).is_file():
        return folder / COMBINED if (folder / COMBINED).is_dir() else folder / "adapter"
    if (folder / "adapter").is_dir():
        raise BadInput(
            f"only a complete run is exported, and {folder} has no {NAME}, which is written last; finish the run, or "
            f"give {folder / 'adapter'} to export what is there"
        )
    return folder


def _json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        require_own_digest(text)
        return dict(json.loads(text))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read ({error}); restore it, or train again") from None


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read ({error}); restore it, or remove it") from None
