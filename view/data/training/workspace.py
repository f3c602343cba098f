"""All runs and probes of a workspace, and their curves, of which new lines are read as they grow."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from agent.workspace.folder import Workspace
from common.errors import BadInput
from view.data.training.curve import Curve
from view.data.training.probes import PREFIX, probe_folders, probes_in_flight, read_probe
from view.data.training.runs import TrainingRun, read_run, run_folders

MOST_KEPT = 128
"""The number of curves that are kept in memory."""


class TrainingRuns:
    """Every call looks at the files again. Threads may share it."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._curves: OrderedDict[Path, Curve] = OrderedDict()
        self._lock = Lock()

    def runs(self) -> list[TrainingRun]:
        """The full-length runs, the latest first."""
        return [self._read(folder) for folder in run_folders(self.workspace)]

    def probes(self, first: int, number: int) -> tuple[list[TrainingRun], int]:
        """``number`` probes from index ``first`` on, the latest first, and how many there are in all."""
        folders = probe_folders(self.workspace)
        return [self._read(folder) for folder in folders[first : first + number]], len(folders)

    def find(self, name: str) -> tuple[TrainingRun, Curve]:
        """The run or probe whose folder has this name, and its curve; BadInput if there is none."""
        folder = next((one for one in self._places(name) if one.is_dir()), None)
        if folder is None or not (folder.name.startswith(PREFIX) or folder in run_folders(self.workspace)):
            raise BadInput(f"there is no training run {name!r} in this workspace; see the list under TRAINING")
        return self._read(folder), self._curve(folder)

    def _places(self, name: str) -> list[Path]:
        """The possible folders of this name; none for a name that is a path."""
        return [self.workspace.runs / name, self.workspace.root / name] if Path(name).name == name else []

    def _read(self, folder: Path) -> TrainingRun:
        curve = self._curve(folder)
        if folder.name.startswith(PREFIX):
            return read_probe(folder, curve, probes_in_flight(self.workspace))
        return read_run(folder, curve)

    def _curve(self, folder: Path) -> Curve:
        with self._lock:
            curve = self._curves.setdefault(folder, Curve(folder))
            self._curves.move_to_end(folder)
            while len(self._curves) > MOST_KEPT:
                self._curves.popitem(last=False)
            return curve.refresh()
