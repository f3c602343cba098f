"""Comparison epochs: periods in which the judge scores its calibration set alike. A provider may change the model
behind a name, so the name is no proof of that.

The folder of the judgements holds ``epoch``, the number, which is part of the probe key, so that readings of two epochs
are never compared, and ``epoch-N.json``: the scores of the calibration set when the epoch began.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from common.errors import MissingRequirement
from common.files import write_durably
from probes.scoring.judge.settings import JudgeSettings, cache_folder


@dataclass(frozen=True)
class Epoch:
    """``number``: from 1. ``levels``: mean overall score (0 to 10) by digest of the calibration question, model and
    rubric included, when it was first asked. ``spread``: standard deviation between judgements of one answer then."""

    number: int = 1
    levels: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.0


def epoch_file(settings: JudgeSettings, folder: Path) -> Path:
    return cache_folder(settings, folder) / "epoch"


def load_epoch(settings: JudgeSettings, folder: Path) -> Epoch:
    """The current epoch; number 1 without levels if none was begun. MissingRequirement for a damaged file."""
    path = epoch_file(settings, folder)
    try:
        number = int(path.read_text(encoding="utf-8"))
        data = json.loads(_levels_file(path, number).read_text(encoding="utf-8"))
        levels = {str(name): float(level) for name, level in data["levels"].items()}
        return Epoch(number, levels, float(data["spread"]))
    except FileNotFoundError:
        return Epoch() if not path.exists() else Epoch(number)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MissingRequirement(
            f"{path} holds the comparison epoch and cannot be read ({error}); move {path.parent} away, and all answers "
            "are judged again"
        ) from None


def save_epoch(epoch: Epoch, settings: JudgeSettings, folder: Path) -> None:
    """Write the levels first. A crash in between leaves the old epoch."""
    path = epoch_file(settings, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(_levels_file(path, epoch.number), json.dumps(asdict(epoch), indent=1, sort_keys=True) + "\n")
    write_durably(path, f"{epoch.number}\n")


def _levels_file(path: Path, number: int) -> Path:
    return path.with_name(f"epoch-{number}.json")
