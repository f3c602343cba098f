"""The request for an export and its result: values only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evaluation.llama_cpp.tools import LlamaCpp
from finetune.export.base import ExportBase
from finetune.export.serving import ServeCommand
from finetune.export.trained import TrainedAdapter
from probes.inputs.material import Material
from probes.inputs.settings import ModelSettings
from probes.model.load import adapter_digest

if TYPE_CHECKING:  # they import torch
    from evaluation.logits import LogitDifference
    from finetune.export.llama_check import ConverterCheck, LlamaCheck

ExportKind = Literal["adapter", "gguf", "merged"]
KINDS: tuple[ExportKind, ...] = ("adapter", "gguf", "merged")

PROMPTS = (
    "Explain in one sentence what a hash table is.",
    "Write a Python function that returns the largest of three numbers.",
    "Name three things that grow in a garden.",
    "How do I tell a friend that I cannot come?",
)
"""The prompts of the checks if no study is given."""


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """``model``: the base; None for the one that the study names or PEFT noted. ``material``: of the study, if one is
    given. ``prompts``: texts to check with. ``base_gguf``: the base for llama.cpp."""

    source: Path
    kind: ExportKind
    output: Path
    model: ModelSettings | None = None
    material: Material | None = None
    prompts: tuple[str, ...] = PROMPTS
    llama_cpp: LlamaCpp | None = None
    base_gguf: Path | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class ExportCheck:
    """The logits of ``what``, compared with those of the base with PEFT's adapter. ``at_most``: the largest relative
    difference that is accepted; None if the difference is only reported."""

    what: str
    difference: "LogitDifference"
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers to a prompt by the base with the adapter, and by the merged model."""

    prompt: str
    before: str
    after: str

    @property
    def same(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """``checks``: the first is the base without the adapter. ``llama``, ``converter``: figures of llama.cpp, if it was
    given. ``answers``: before and after a merge. ``template``: the exported chat template; "" for none."""

    kind: ExportKind
    folder: Path
    trained: TrainedAdapter
    base: ExportBase
    checks: tuple[ExportCheck, ...]
    commands: tuple[ServeCommand, ...]
    warnings: tuple[str, ...] = ()
    answers: tuple[Answered, ...] = ()
    llama: "LlamaCheck | None" = None
    converter: "ConverterCheck | None" = None
    template: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def record(done: ExportedModel) -> dict[str, Any]:
    """The content of adapter_export.json: what the export was made from and the figures of its checks, as plain JSON
    values."""
    trained = done.trained
    return {
        "kind": done.kind,
        "adapter": adapter_digest(trained.adapter),
        "base": done.base.hub_id or done.base.name,
        "study": trained.run.get("study"),
        "recipe": trained.run.get("recipe"),
        "checks": [asdict(check) for check in done.checks],
        "llama_cpp": done.llama and asdict(done.llama),
        "converter": done.converter and asdict(done.converter),
        "answers": [asdict(answer) for answer in done.answers],
        "warnings": list(done.warnings),
        "files": dict(done.files),
    }
