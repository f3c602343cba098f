"""The part of ``nightlane evaluate`` that takes a study instead of a file of problems."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import typer

from cli.commands.study import load
from cli.exit_codes import on_interrupt
from cli.options import print_result, workspace_at
from common.errors import BadInput
from common.printable import print_message

TAKEN = {"what", "adapter", "merged", "llama_cpp", "quantised", "split", "seeds", "workspace", "as_json"}
"""Parameters that may be given with a study; all others belong to problems."""
SEEDS = 3


@dataclass(frozen=True)
class AdapterForms:
    """The adapters, and the forms in which each is evaluated."""

    adapters: tuple[Path, ...]
    merged: bool
    llama_cpp: Path | None
    quantised: str


def given_besides(context: typer.Context, taken: Iterable[str]) -> list[str]:
    """The options that were given on the command line, without the parameters ``taken``."""
    found = (one for one in context.params if context.get_parameter_source(one) is not None)
    typed = [one for one in found if getattr(context.get_parameter_source(one), "name", "") == "COMMANDLINE"]
    return [f"--{one.replace('_', '-')}" for one in typed if one not in taken]


def evaluate_study_command(
    context: typer.Context,
    path: Path,
    forms: AdapterForms,
    *,
    split: str,
    seeds: str,
    workspace: Path,
    as_json: bool,
) -> None:
    """Evaluate the base and the adapters on the study's own prompts."""
    from common.interrupts import interruptible
    from evaluation.llama_cpp.tools import QUANTISED, LlamaCpp
    from evaluation.own_study.evaluate import StudyRequest, evaluate_study
    from finetune.manifest import require_whole
    from view.report.study_evaluation import study_evaluation_data, study_evaluation_markdown, write_study_evaluation

    if others := given_besides(context, TAKEN):
        raise BadInput(
            f"{others[0]} is for problems, and {path} is a study, which says by itself what is asked and how; leave it "
            "out"
        )
    study = load(path)
    request = StudyRequest(
        name=study.name,
        material=study.material,
        target=study.target,
        guards=study.guards,
        quantization=study.start.quantization,
        runner=study.file.runner,
        adapters=forms.adapters,
        merged=forms.merged,
        llama_cpp=LlamaCpp(forms.llama_cpp) if forms.llama_cpp is not None else None,
        quantised=_types(forms.quantised) or QUANTISED,
        split=split,
        seeds=_number(seeds),
        confidence=study.file.policy.confidence,
    )
    for adapter in request.adapters:
        require_whole(adapter)
    with on_interrupt(lambda: "complete sets of answers are kept; the same command uses them again"), interruptible():
        done, folder = evaluate_study(request, workspace_at(workspace).runs, print_message)
    write_study_evaluation(folder, done)
    print_result(study_evaluation_data(done) if as_json else study_evaluation_markdown(done))


def _types(quantised: str) -> tuple[str, ...]:
    """llama.cpp's quantisation types from a list separated by commas, each once."""
    return tuple(dict.fromkeys(one.strip().upper() for one in quantised.split(",") if one.strip()))


def _number(seeds: str) -> int:
    if not seeds:
        return SEEDS
    if not seeds.strip().isdecimal():
        raise BadInput(f"--seeds {seeds!r} is not a number of sampling seeds; give a whole number, such as {SEEDS}")
    return int(seeds)
