"""``nightlane export``: writes an adapter in a form that servers and other people can use, and checks it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.study import load
from cli.exit_codes import on_interrupt
from cli.options import AsJson, WorkspaceFolder, example, print_result, workspace_at
from common.errors import BadInput
from common.printable import print_message

if TYPE_CHECKING:
    from finetune.export.exported import ExportKind, ExportRequest

commands = typer.Typer()

AdapterFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder of a full-length run, or of an adapter that PEFT saved.")
]
ExportFolder = Annotated[Path, typer.Option("--output", metavar="OUT_DIR", help="A new or empty folder.")]
Form = Annotated[
    str,
    typer.Option(
        "--to", help="adapter: PEFT's own files. gguf: an adapter for llama.cpp. merged: a whole model, with a warning."
    ),
]
BaseModel = Annotated[
    str | None,
    typer.Option(
        "--base", metavar="MODEL", help="The unquantised base, a folder or hub id; default the one in the adapter."
    ),
]
OfStudy = Annotated[
    Path | None,
    typer.Option("--study", metavar="FILE", help="Take base, chat template and prompts of the check from this study."),
]
LlamaCppFolder = Annotated[
    Path | None,
    typer.Option("--llama-cpp", metavar="DIR", help="With --to gguf: check in this llama.cpp, too."),
]
BaseGguf = Annotated[
    Path | None,
    typer.Option("--base-gguf", metavar="FILE", help="With --llama-cpp: the base as GGUF; by default it is converted."),
]
AdapterLicence = Annotated[str, typer.Option("--license", help="The license that the model card names.")]
BaseLicence = Annotated[str, typer.Option("--base-license", help="The license of the base, for the card.")]
DataLicence = Annotated[str, typer.Option("--data-license", help="The license of the training data, for the card.")]


@commands.command(epilog=example("export my-model --to gguf --output my-export"))
def export(
    source: AdapterFolder,
    output: ExportFolder,
    to: Form = "adapter",
    base: BaseModel = None,
    study: OfStudy = None,
    llama_cpp: LlamaCppFolder = None,
    base_gguf: BaseGguf = None,
    licence: AdapterLicence = "unknown",
    base_licence: BaseLicence = "unknown",
    data_licence: DataLicence = "unknown",
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Export an adapter for use: PEFT's files, a GGUF adapter or a merged model, with a model card.

    Compares the logits of what it wrote with those of the adapter, and prints commands that serve it."""
    request = _request(source, to=to, output=output, base=base, study=study, llama_cpp=llama_cpp, base_gguf=base_gguf)
    from common.interrupts import interruptible
    from finetune.export.export import export as run
    from view.export.background import background
    from view.export.model_card import Licences, card_markdown, export_data, export_text

    root, licences = workspace_at(workspace).root, Licences(licence, base_licence, data_licence)
    with on_interrupt(lambda: f"nothing was written to {output}"), interruptible():
        done = run(
            request,
            lambda made: card_markdown(made, licences, background(made.trained.adapter, made.trained.run, root)),
            print_message,
        )
    print_result(export_data(done) if as_json else export_text(done))


def form_of(text: str) -> "ExportKind":
    """The form of export with this name; BadInput if there is none."""
    from finetune.export.exported import KINDS

    kind = next((one for one in KINDS if one == text), None)
    if kind is None:
        raise BadInput(f"--to {text!r} is no form of an export; give {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return kind


def _request(
    source: Path,
    *,
    to: str,
    output: Path,
    base: str | None,
    study: Path | None,
    llama_cpp: Path | None,
    base_gguf: Path | None,
) -> "ExportRequest":
    from evaluation.llama_cpp.tools import LlamaCpp
    from finetune.export.exported import PROMPTS, ExportRequest
    from probes.inputs.settings import ModelSettings
    from probes.run.devices import visible_devices

    kind = form_of(to)
    if base is not None and study is not None:
        raise BadInput("a study names its base, and --base was given, too; leave one of them out")
    material = load(study).material if study is not None else None
    prompts = tuple(prompt.text for prompt in material.prompts_of("probe")) if material is not None else PROMPTS
    return ExportRequest(
        source=source,
        kind=kind,
        output=output,
        model=ModelSettings(path=base) if base is not None else None,
        material=material,
        prompts=prompts,
        llama_cpp=LlamaCpp(llama_cpp) if llama_cpp is not None else None,
        base_gguf=base_gguf,
        device="cuda:0" if visible_devices() else "cpu",
    )
