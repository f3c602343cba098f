"""From a request to a folder that holds the exported adapter, checked and complete. Imports torch.

OUT_DIR/   adapter_model.safetensors | adapter.gguf | a merged model   README.md (the model card)   adapter_export.json
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from common.digests import file_digest, with_own_digest
from common.errors import BadInput
from common.files import failed_write, whole_folder, write_durably
from common.optional_dependencies import require_extra
from evaluation.llama_cpp.tools import CONVERT_MODEL, SERVER
from evaluation.own_study.adapters import require_own_adapter
from finetune.export import RECORD
from finetune.export.base import ExportBase, base_for, require_gguf_source
from finetune.export.bench import Bench, Note, open_bench
from finetune.export.exported import ExportedModel, ExportRequest, record
from finetune.export.formats import as_adapter, as_gguf, as_merged
from finetune.export.trained import TrainedAdapter, find_trained
from probes.model.adapter_files import TEMPLATE, has_prompt_format

CARD = "README.md"
FORMATS = {"adapter": as_adapter, "gguf": as_gguf, "merged": as_merged}
ANOTHER_TEMPLATE = (
    "the adapter was trained with another chat template than the base's own: export with --study, so that the template "
    "is exported too, and serve with it"
)


def export(request: ExportRequest, card: Callable[[ExportedModel], str], note: Note) -> ExportedModel:
    """Export, check and write; ``card`` gives the model card. The folder appears when everything in it was checked.

    BadInput if the adapter cannot take this form, belongs to another base or is damaged; NightlaneError if a check
    fails.
    """
    _require_possible(request)
    trained = find_trained(request.source)
    base = _base(trained, request)
    if request.kind == "gguf":
        _require_gguf(request, trained, base)
    with whole_folder(request.output, "an export") as partial, _failed_writes_named(request.output):
        bench = open_bench(trained, base, request.prompts, request.device, note)
        done = FORMATS[request.kind](bench, request, partial, _done(request, bench), note)
        if done.template:  # in place of the base's own, where the form has one
            shutil.copyfile(base.folder / str(base.settings.chat_template), partial / done.template)
        files = {str(path.relative_to(partial)): file_digest(path) for path in _files(partial)}
        done = replace(done, files=files)
        write_durably(partial / CARD, card(done))
        write_durably(partial / RECORD, with_own_digest(json.dumps(record(done), indent=1, allow_nan=False)))
    return done


def _base(trained: TrainedAdapter, request: ExportRequest) -> ExportBase:
    """The base of the study, without its [model] adapter, since the exported adapter contains that one; without a
    study --base, or the base that PEFT noted."""
    if request.material is None:
        return base_for(trained, request.model, Path())
    model = request.material.model.model_copy(update={"adapter": None})
    require_own_adapter(trained.adapter, replace(request.material, model=model))
    return base_for(trained, model, request.material.folder)


def _require_possible(request: ExportRequest) -> None:
    if request.base_gguf is not None and request.llama_cpp is None:
        raise BadInput("--base-gguf is the base for llama.cpp, and --llama-cpp is not given; give both or neither")
    if request.llama_cpp is not None and request.kind != "gguf":
        raise BadInput(f"llama.cpp checks a GGUF adapter, and --to is {request.kind}; leave out --llama-cpp")
    if request.base_gguf is not None and not request.base_gguf.is_file():
        raise BadInput(f"--base-gguf {request.base_gguf} is not a file; give the base model as a GGUF file")


def _require_gguf(request: ExportRequest, trained: TrainedAdapter, base: ExportBase) -> None:
    """All that can be refused before the base is loaded."""
    require_extra("gguf", "a GGUF adapter")
    from finetune.export.gguf_file import architecture_of
    from finetune.export.lora_weights import require_plain

    require_plain(trained)
    architecture_of(base.config)
    if request.llama_cpp is not None:
        request.llama_cpp.need(SERVER)
        if request.base_gguf is None:
            request.llama_cpp.need(CONVERT_MODEL)
            require_gguf_source(base)


def _done(request: ExportRequest, bench: Bench) -> ExportedModel:
    """The result, with the fields that are the same for all forms."""
    known = has_prompt_format(bench.trained.adapter, bench.renderer)
    return ExportedModel(
        kind=request.kind,
        folder=request.output,
        trained=bench.trained,
        base=bench.named,
        checks=(bench.change,),
        commands=(),
        template=TEMPLATE if bench.named.settings.chat_template else "",
        warnings=() if known else (ANOTHER_TEMPLATE,),
    )


@contextmanager
def _failed_writes_named(output: Path) -> Iterator[None]:
    """Raise every failed write as an OSError that names the export: safetensors and gguf raise some as errors of their
    own types, which name no file."""
    try:
        yield
    except Exception as error:
        if (failed := failed_write(error, output.resolve().parent)) is None:
            raise
        raise OSError(failed.errno, failed.strerror, str(output)) from None


def _files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
