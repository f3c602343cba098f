"""Comparison epochs: the time in which a judge is the same judge. Its calibration says so, since its name does not.

Beside the judgements lie ``epoch``, a number that is part of the probe key, so that readings of two epochs are never
compared, and ``epoch-N.json``: how the judge marked its calibration when that epoch began.
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
    """Its number, from 1 on, and per calibration question (by digest; model and rubric are in it) the mean overall from
    0 to 10 when it was first asked. ``spread``: standard deviation between judgements of one answer then."""

    number: int = 1
    levels: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.0


def epoch_file(settings: JudgeSettings, folder: Path) -> Path:
    return cache_folder(settings, folder) / "epoch"


def load_epoch(settings: JudgeSettings, folder: Path) -> Epoch:
    """The epoch that stands; the first, without levels, where none was begun. MissingRequirement for a damaged file."""
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
            f"{path} says which judgements may be compared and cannot be read ({error}); move {path.parent} away, so "
            "that everything is judged anew"
        ) from None


def save_epoch(epoch: Epoch, settings: JudgeSettings, folder: Path) -> None:
    """The levels first: a number without levels is an epoch that nothing is known of, which is true then."""
    path = epoch_file(settings, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(_levels_file(path, epoch.number), json.dumps(asdict(epoch), indent=1, sort_keys=True) + "\n")
    write_durably(path, f"{epoch.number}\n")


def _levels_file(path: Path, number: int) -> Path:
    return path.with_name(f"epoch-{number}.json")
