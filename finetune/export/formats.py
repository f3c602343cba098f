"""The three forms of an export, each written into a folder and compared with PEFT's adapter. Imports torch."""

import gc
import json
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from common.errors import NightlaneError
from evaluation.llama_cpp.tools import CONVERT_LORA, LlamaCpp
from finetune.export.bench import Bench, Note, load_in_float32
from finetune.export.exported import Answered, ExportedModel, ExportRequest
from finetune.export.serving import MODELFILE, adapter_commands, gguf_commands, merged_commands, modelfile
from probes.model.adapter import adapted
from probes.model.adapter_files import BASE_ADAPTER, PROMPT_FORMAT
from probes.model.load import ADAPTER_CONFIG, ADAPTER_WEIGHTS, is_gguf


def as_adapter(bench: Bench, request: ExportRequest, folder: Path, done: ExportedModel, note: Note) -> ExportedModel:
    """PEFT's files, copied unchanged, but for a base that was named on the command line: the configuration then names
    that one."""
    trained = bench.trained
    for name in (ADAPTER_WEIGHTS, ADAPTER_CONFIG, BASE_ADAPTER, PROMPT_FORMAT):
        if (trained.adapter / name).is_file():
            shutil.copyfile(trained.adapter / name, folder / name)
    if request.model is not None:
        changed = {**trained.config, "base_model_name_or_path": bench.named.hub_id or bench.named.name}
        (folder / ADAPTER_CONFIG).write_text(json.dumps(changed, indent=2) + "\n", encoding="utf-8")
    with adapted(bench.base, folder) as model:
        check = bench.checked("the exported adapter on the base", model)
    commands = adapter_commands(bench.named, int(trained.config.get("r") or 0), done.template)
    return replace(done, checks=(bench.change, check), commands=commands)


def as_gguf(bench: Bench, request: ExportRequest, folder: Path, done: ExportedModel, note: Note) -> ExportedModel:
    """A GGUF adapter with a Modelfile; also checked in llama.cpp, if that is given."""
    from finetune.export.gguf_check import gguf_applied
    from finetune.export.gguf_file import NAME, write_gguf
    from finetune.export.lora_weights import lora_weights

    path = folder / NAME
    write_gguf(path, request.output.name, lora_weights(bench.trained, bench.base.model), bench.named)
    (folder / MODELFILE).write_text(modelfile(NAME), encoding="utf-8")
    with gguf_applied(bench.base.model, path) as model:
        check = bench.checked(f"{NAME}, read back and applied to the base", model)
    done = replace(done, checks=(bench.change, check), commands=gguf_commands(NAME, done.template))
    if request.llama_cpp is None:
        return done
    with TemporaryDirectory(prefix="nightlane-", dir=folder.parent) as scratch:
        return _in_llama_cpp(
            bench,
            request.llama_cpp,
            base=request.base_gguf,
            adapter=path,
            scratch=Path(scratch),
            done=done,
            note=note,
        )


def _in_llama_cpp(
    bench: Bench,
    tools: LlamaCpp,
    *,
    base: Path | None,
    adapter: Path,
    scratch: Path,
    done: ExportedModel,
    note: Note,
) -> ExportedModel:
    from finetune.export.llama_check import PromptWithLogits, check_in_llama_cpp, compare_with_converter

    places = zip(bench.prompts, bench.ids, bench.bare, bench.adapted, strict=True)
    asked = [PromptWithLogits(text, ids, bare[-1], own[-1]) for text, ids, bare, own in places]
    if base is None:
        note("llama.cpp converts the base")
        base = scratch / "base.gguf"
        tools.model_to_gguf(Path(bench.named.where), base)
    note("llama-server answers with the adapter on and off")
    chat, log = bench.renderer.chat, scratch / "server.log"
    llama = check_in_llama_cpp(tools, base, adapter, asked, chat=chat, log=log)
    converter = None
    if tools.find(CONVERT_LORA) and not is_gguf(bench.named.where) and not bench.named.hub_id:
        note("llama.cpp's converter makes an adapter to compare with")
        converter = compare_with_converter(tools, bench.trained.adapter, Path(bench.named.where), adapter, scratch)
    warnings = done.warnings
    if llama.same_tokens is not None and llama.same_tokens < llama.prompts:
        warnings += (
            f"llama-server's chat template and tokenizer give other token ids than training for "
            f"{llama.prompts - llama.same_tokens} of {llama.prompts} prompts; pass the template of training with "
            "--chat-template-file",
        )
    return replace(done, llama=llama, converter=converter, warnings=warnings)


def as_merged(bench: Bench, request: ExportRequest, folder: Path, done: ExportedModel, note: Note) -> ExportedModel:
    """Merged in float32, saved in the base's own type, loaded again from disk, and compared.

    NightlaneError if less than half of what the adapter changes is left.
    """
    from evaluation.merging import write_merged

    before, named, change = bench.answers(), bench.named, bench.change
    bench.base.model = None  # one model in memory at a time
    gc.collect()
    stored = write_merged(named.settings, named.folder, bench.trained.adapter, folder, bench.device)
    note(f"merged, and saved in {str(stored).removeprefix('torch.')}; comparing")
    where = named.settings.model_copy(update={"path": str(folder.resolve()), "revision": None})
    again, _ = load_in_float32(where, named, bench.device, note)
    check = bench.measured("the merged model, loaded from disk", again.model)
    if not check.difference.relative < change.difference.relative / 2:
        raise NightlaneError(
            f"a merged model must give the logits of the base with the adapter, and its own differ by "
            f"{check.difference.relative:.2g} of their size, those of the bare base by "
            f"{change.difference.relative:.2g}; rounding lost the adapter, so serve it unmerged"
        )
    after = bench.answers_of(again.model)
    answers = tuple(Answered(*one) for one in zip(bench.prompts, before, after, strict=True))
    return replace(done, checks=(change, check), commands=merged_commands(), answers=answers)
