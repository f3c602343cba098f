"""The keys of ``[scorer]`` of a benchmark's task."""

from pathlib import Path

from pydantic import Field

from probes.inputs.settings import ScorerSettings


class BenchmarkSettings(ScorerSettings):
    """The keys that both kinds have."""

    task: str = Field(min_length=1)
    category: str = ""
    """The key of a sample's metadata (Inspect) or document (lm-evaluation-harness) that is its category; without it,
    the task's name is."""
    metric: str = ""
    """Which value is the score, if the task gives several; the others become components."""
    scale: float = Field(10.0, gt=0)
    """Points for 1.0 of the task's score: 10 for a score from 0 to 1."""

    def file(self, folder: Path) -> Path | None:
        """The file that the task is in; None for a task of a package."""
        path = folder / self.task.partition("@")[0]
        return path if path.suffix in (".py", ".yaml", ".yml") else None


class InspectSettings(BenchmarkSettings):
    """``[scorer] kind = "inspect"``: an Inspect task (pip install 'nightlane[inspect]')."""

    kind: str = "inspect"
    task: str = Field(min_length=1)
    """"file.py@name" beside the study, or "package/name"."""


class LmEvalSettings(BenchmarkSettings):
    """``[scorer] kind = "lm_eval"``: a task of lm-evaluation-harness (pip install 'nightlane[lm-eval]')."""

    kind: str = "lm_eval"
    task: str = Field(min_length=1)
    """"file.yaml" beside the study, or the name of one of the package's own tasks. It must generate text
    (generate_until)."""
    filter: str = ""
    """Which of the task's filters reads the answer; default its first."""
