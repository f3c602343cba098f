"""What a person does after an interruption, and what a folder holds.

A person whose command was interrupted repeats it. If the command refuses the output folder because it is not empty,
they choose another one; here it is the same folder, emptied.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.observe import Observed, lines_of, without_times
from bench.faults.scenarios.scenario import Command, Run


def nothing(root: Path, run: Run) -> None:
    """The command needs no files."""


def require_success(result: ProcessResult) -> None:
    if result.code:
        raise RuntimeError(f"a scenario cannot be prepared: exit {result.code}, {result.stderr[-2000:]}")


def repeat_in_empty_folder(command: Callable[[Path], Command]) -> Callable[[Path, Run], Sequence[ProcessResult]]:
    """Repeat the command; if it is refused, empty the output folder and repeat it once more."""

    def recover(root: Path, run: Run) -> Sequence[ProcessResult]:
        results = [run(command(root))]
        if results[0].code == 2:
            shutil.rmtree(root / "out")
            results.append(run(command(root)))
        return results

    return recover


def files(*folders: str) -> Callable[[Path], Observed]:
    """The lines of every file in some folders; of Parquet files and the like only whether they are empty."""

    def observe(root: Path) -> Observed:
        observed: dict[str, Sequence[str]] = {}
        for path in sorted(path for folder in folders for path in (root / folder).rglob("*") if path.is_file()):
            name = str(path.relative_to(root))
            if path.name in ("lock", "report.md", "report.html") or path.suffix == ".parquet":
                observed[name] = [str(path.stat().st_size > 0 or path.name == "lock")]
            else:
                observed[name] = [without_times(line.replace(str(root), "ROOT")) for line in lines_of(path)]
        return observed

    return observe
