"""``nightlane export`` of a full-length run of a small model, in each of its forms."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.commands.full_runs import is_whole, run_files, train, write_small_study
from bench.faults.scenarios.commands.recovery import repeat_in_empty_folder, require_success
from bench.faults.scenarios.observe import Observed
from bench.faults.scenarios.scenario import Command, Misbehaved, Run, Scenario, nightlane
from finetune.export import RECORD


def _write_run(root: Path, run: Run) -> None:
    write_small_study(root, run)
    require_success(run(train(root, "trained", "--steps", 2, "--spot-check", 0)))


def _export_to(form: str) -> Callable[[Path], Command]:
    return lambda root: nightlane(
        "export", root / "trained", "--to", form, "--output", root / "out", "--workspace", root
    )


def _recover(form: str) -> Callable[[Path, Run], Sequence[ProcessResult]]:
    """Require that a folder with its final name is complete, then repeat the export."""

    def recover(root: Path, run: Run) -> Sequence[ProcessResult]:
        if (root / "out").exists() and not is_whole(root / "out", RECORD):
            raise Misbehaved(f"the export has its final name and is not complete: {sorted((root / 'out').iterdir())}")
        return repeat_in_empty_folder(_export_to(form))(root, run)

    return recover


def _observe(root: Path) -> Observed:
    """The export, and what lies beside it."""
    names = sorted(path.name for path in root.iterdir())
    return {**run_files("out", "trained")(root), "names": names}


EXPORTS = tuple(
    Scenario(f"export to {form}", _write_run, _export_to(form), _recover(form), _observe, weight=1)
    for form in ("adapter", "gguf", "merged")
)
