"""``nightlane evaluate``: pass@k and failure classes of a model, an adapter, a served model or a file of samples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, WorkspaceFolder, example, on_interrupt, print_result, workspace_at
from cli.study import load
from common.errors import BadInput
from common.printable import tell

if TYPE_CHECKING:
    from probes.inputs.settings import ModelSettings

commands = typer.Typer()


@commands.command(epilog=example("evaluate --problems HumanEval.jsonl.gz --model MODEL --adapter my-model/adapter"))
def evaluate(
    problems: Annotated[
        Path,
        typer.Option("--problems", metavar="FILE", help="HumanEval, MBPP, HumanEval+ or MBPP+ as .jsonl or .jsonl.gz."),
    ],
    model: Annotated[
        str, typer.Option("--model", help="The model to score: a folder or hub id. With --adapter, the side before.")
    ] = "",
    study: Annotated[
        Path | None,
        typer.Option("--study", metavar="FILE", help="Instead of --model: take [model] of this study, with its chat."),
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Revision of a hub model, best a commit.")] = None,
    quantization: Annotated[str, typer.Option("--quantization", help="none or nf4.")] = "none",
    adapter: Annotated[
        Path | None, typer.Option("--adapter", metavar="DIR", help="A LoRA adapter to compare with the bare model.")
    ] = None,
    model_adapter: Annotated[
        str | None,
        typer.Option("--model-adapter", metavar="DIR", help="An SFT adapter under both sides, as [model] adapter."),
    ] = None,
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="MODEL", help="A model served at OPENAI_BASE_URL.")
    ] = "",
    samples: Annotated[
        Path | None,
        typer.Option("--samples", metavar="FILE", help="Answers of human-eval, evalplus, bigcode or lm-eval."),
    ] = None,
    before: Annotated[
        Path | None, typer.Option("--before", metavar="FILE", help="Samples to compare those of --samples with.")
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", help="Sampling seeds, separated by commas.")] = "42,123,7",
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Answers per problem and seed.")] = 1,
    temperature: Annotated[float, typer.Option("--temperature", min=0.01, max=10, help="Sampling temperature.")] = 0.2,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Most tokens of an answer.")] = 512,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.05, max=60, help="Processor seconds that an answer's program may use.")
    ] = 3.0,
    memory: Annotated[
        int, typer.Option("--memory", min=96, max=1 << 20, help="MiB that an answer's program may use.")
    ] = 512,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Score a model, an adapter or samples on programming problems.

    Prints pass@k and the failure classes; with an adapter or --before, also what changed. Keeps every answer in
    runs/evaluation-ID/."""
    from agent.workspace.folder import interruptible
    from evaluation.answering import Asking
    from evaluation.evaluate import Request, evaluate
    from finetune.manifest import require_whole
    from probes.scoring.execution.scorer import ExecutionSettings
    from view.report.evaluation import evaluation_data, evaluation_markdown, write_evaluation

    if quantization not in ("none", "nf4"):
        raise BadInput(f"--quantization {quantization!r} is none of none, nf4; give one of them")
    if adapter is not None:
        require_whole(adapter)
    if study is None:
        settings, folder = _model(model, revision, model_adapter), Path()
    else:
        others = {
            "--model": model,
            "--revision": revision,
            "--model-adapter": model_adapter,
            "--endpoint": endpoint,
            "--samples": samples,
        }
        settings, folder = _model_of_study(study, [name for name, value in others.items() if value])
    request = Request(
        problems=problems,
        model=settings,
        adapter=adapter,
        endpoint=endpoint,
        samples=samples,
        before=before,
        quantization=quantization,
        seeds=_whole_numbers(seeds),
        asking=Asking(samples=number, temperature=temperature, max_new_tokens=tokens),
        scorer=ExecutionSettings(seconds=seconds, memory_mb=memory),
        folder=folder,
    )
    with on_interrupt(lambda: "answers and verdicts so far are in the folder named above"), interruptible():
        done, written = evaluate(request, workspace_at(workspace).runs, tell)
    write_evaluation(written, done)
    print_result(evaluation_data(done) if as_json else evaluation_markdown(done))


def _model(model: str, revision: str | None, model_adapter: str | None) -> "ModelSettings | None":
    from probes.inputs.settings import ModelSettings

    if model:
        return ModelSettings(path=model, revision=revision, adapter=model_adapter)
    if model_adapter is not None:
        raise BadInput("--model-adapter is a part of the base model; name that with --model")
    return None


def _model_of_study(path: Path, also_given: list[str]) -> "tuple[ModelSettings, Path]":
    """[model] of a study, and the folder from which its relative paths start."""
    if also_given:
        raise BadInput(
            f"--study says which model answers, and {also_given[0]} was given as well; leave one of them out"
        )
    study = load(path)
    return study.file.model, study.material.folder


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--seeds {text!r} must be whole numbers with commas between them; give 42,123,7 say") from None
