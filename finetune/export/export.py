"""From a request to a folder that holds the exported adapter, checked and complete. Imports torch.

OUT_DIR/   adapter_model.safetensors | adapter.gguf | a merged model   README.md (the model card)   export.json
"""

import gc
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peft import get_peft_model_state_dict
from safetensors import SafetensorError, safe_open

from common.digests import file_digest, with_own_digest
from common.errors import BadInput, DiskFull, NightlaneError
from common.files import whole_folder, write_durably
from common.optional_dependencies import require_extra
from evaluation.llama_cpp.tools import CONVERT_LORA, CONVERT_MODEL, SERVER
from evaluation.logits import Logits, difference, logits
from evaluation.own_study.adapters import require_own_adapter
from finetune.export.base import ExportBase, base_for, require_gguf_source
from finetune.export.exported import Answered, Check, Exported, ExportRequest, record
from finetune.export.serving import MODELFILE, adapter_commands, gguf_commands, merged_commands, modelfile
from finetune.export.trained import TrainedAdapter, find_trained
from probes.generate.random_keys import Sampling
from probes.model.adapter import adapted
from probes.model.adapter_files import BASE_ADAPTER, PROMPT_FORMAT, TEMPLATE, has_prompt_format
from probes.model.load import ADAPTER_CONFIG, ADAPTER_WEIGHTS, Base, is_gguf, load_base, use_few_threads
from probes.model.merged_adapter import CLOSE, CLOSE_IN_HALF

CARD, RECORD = "README.md", "export.json"
COMPARED = 4
"""Prompts of a study on which logits are compared."""
ANSWERED = Sampling(samples=1, temperature=0.01, top_p=1.0, top_k=0, max_new_tokens=48, seed=0, batch_size=COMPARED)
"""All but greedy answers before and after a merge."""
ANOTHER_TEMPLATE = (
    "the adapter was trained with another chat template than the base's own: serve it with that one, and export with "
    "--study so that the template comes along"
)
Note = Callable[[str], None]


def export(request: ExportRequest, card: Callable[[Exported], str], note: Note) -> Exported:
    """Export, check and write; ``card`` gives the model card. The folder appears when everything in it was checked.

    BadInput for an adapter that cannot be exported so, of another base or damaged; NightlaneError if a check fails.
    """
    _require_possible(request)
    trained = find_trained(request.source)
    base = _base(trained, request)
    if request.kind == "gguf":
        _require_gguf(request, trained, base)
    with whole_folder(request.output, "an export") as partial, _full_disk_named(request.output):
        done = _Export(request, trained, base, partial, note).run()
        files = {str(path.relative_to(partial)): file_digest(path) for path in _files(partial)}
        done = replace(done, files=files)
        write_durably(partial / CARD, card(done))
        write_durably(partial / RECORD, with_own_digest(json.dumps(record(done), indent=1, allow_nan=False)))
    return done


def _base(trained: TrainedAdapter, request: ExportRequest) -> ExportBase:
    """The base of the study without its [model] adapter, which an exported adapter holds; else --base, or PEFT's."""
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
        raise BadInput(f"--base-gguf {request.base_gguf} is no file; give the base model as a GGUF file")


def _require_gguf(request: ExportRequest, trained: TrainedAdapter, base: ExportBase) -> None:
    """All that can be refused before the base is loaded."""
    require_extra("gguf", "a GGUF adapter")
    from finetune.export.gguf_names import architecture_of
    from finetune.export.lora_weights import require_plain

    require_plain(trained)
    architecture_of(base.config)
    if request.llama_cpp is not None:
        request.llama_cpp.need(SERVER)
        if request.base_gguf is None:
            request.llama_cpp.need(CONVERT_MODEL)
            require_gguf_source(base)


class _Export:
    """One export into a folder that is not in its place yet."""

    def __init__(
        self, request: ExportRequest, trained: TrainedAdapter, base: ExportBase, folder: Path, note: Note
    ) -> None:
        self.request, self.trained, self.named, self.folder, self.note = request, trained, base, folder, note
        note(f"loading the base {base.name}")
        self.base: Base = load_base(
            base.settings.model_copy(update={"adapter": None}), base.folder, "none", request.device
        )
        use_few_threads(self.base)
        questions = [self.base.renderer.question(text) for text in request.prompts[:COMPARED]]
        self.questions, self.ids = questions, [list(question.ids) for question in questions]

    def run(self) -> Exported:
        self.bare = bare = logits(self.base.model, self.ids)
        reference = self._reference()
        change = Check("the base without the adapter", difference(reference, bare))
        _require_change(self.trained, change)
        done = Exported(
            kind=self.request.kind,
            folder=self.request.output,
            trained=self.trained,
            base=self.named,
            checks=(change,),
            commands=(),
            template=self._template(),
            warnings=tuple(self._warnings()),
        )
        return {"adapter": self._adapter, "gguf": self._gguf, "merged": self._merged}[self.request.kind](
            done, reference
        )

    def _reference(self) -> Logits:
        """The logits of the base with PEFT's adapter. BadInput if the adapter does not fit the base."""
        with _fitting(self.trained, self.named), adapted(self.base, self.trained.adapter) as model:
            _require_all_read(model, self.trained)
            found = logits(model, self.ids)
        if not all(one.isfinite().all() for one in found):
            raise BadInput(f"the logits with {self.trained.adapter} are not finite; the run diverged, so train again")
        return found

    def _warnings(self) -> Iterator[str]:
        if not has_prompt_format(self.trained.adapter, self.base.renderer):
            yield ANOTHER_TEMPLATE

    def _template(self) -> str:
        """Copy the chat template that a study sets."""
        named = self.named.settings.chat_template
        if named is None:
            return ""
        shutil.copyfile(self.named.folder / named, self.folder / TEMPLATE)
        return TEMPLATE

    def _adapter(self, done: Exported, reference: Logits) -> Exported:
        """PEFT's files, byte by byte; only a base that was named on the command line is put into the configuration."""
        for name in (ADAPTER_WEIGHTS, BASE_ADAPTER, PROMPT_FORMAT):
            if (self.trained.adapter / name).is_file():
                shutil.copyfile(self.trained.adapter / name, self.folder / name)
        config = self.trained.adapter / ADAPTER_CONFIG
        if self.request.model is None and self.request.material is None:
            shutil.copyfile(config, self.folder / ADAPTER_CONFIG)
        else:
            changed = {**self.trained.config, "base_model_name_or_path": self.named.hub_id or self.named.name}
            (self.folder / ADAPTER_CONFIG).write_text(json.dumps(changed, indent=2) + "\n", encoding="utf-8")
        with adapted(self.base, self.folder) as model:
            check = self._check("the exported adapter on the base", reference, logits(model, self.ids), done)
        rank = int(self.trained.config.get("r") or 0)
        return replace(done, checks=(*done.checks, check), commands=adapter_commands(self.named, rank, done.template))

    def _gguf(self, done: Exported, reference: Logits) -> Exported:
        from finetune.export.gguf_check import gguf_applied
        from finetune.export.gguf_file import NAME, write_gguf
        from finetune.export.lora_weights import lora_weights

        path = self.folder / NAME
        write_gguf(path, self.request.output.name, lora_weights(self.trained, self.base.model), self.named)
        (self.folder / MODELFILE).write_text(modelfile(NAME), encoding="utf-8")
        with gguf_applied(self.base.model, path) as model:
            check = self._check(f"{NAME}, read back and applied to the base", reference, logits(model, self.ids), done)
        done = replace(done, checks=(*done.checks, check), commands=gguf_commands(NAME, done.template))
        return done if self.request.llama_cpp is None else self._in_llama_cpp(done, path, reference)

    def _in_llama_cpp(self, done: Exported, path: Path, reference: Logits) -> Exported:
        from finetune.export.llama_check import Asked, check_in_llama_cpp, compare_with_converter

        tools = self.request.llama_cpp
        assert tools is not None
        places = zip(self.request.prompts, self.ids, self.bare, reference, strict=False)
        asked = [Asked(text, ids, bare[-1], own[-1]) for text, ids, bare, own in places]
        with TemporaryDirectory(prefix="nightlane-", dir=self.folder.parent) as name:
            scratch = Path(name)
            base = self.request.base_gguf
            if base is None:
                self.note("llama.cpp converts the base")
                base = scratch / "base.gguf"
                tools.model_to_gguf(Path(self.named.where), base)
            self.note("llama-server answers with the adapter on and off")
            llama = check_in_llama_cpp(
                tools, base, path, asked, chat=self.base.renderer.chat, log=scratch / "server.log"
            )
            converter = None
            if tools.find(CONVERT_LORA) and not is_gguf(self.named.where) and not self.named.hub_id:
                self.note("llama.cpp's converter makes an adapter to compare with")
                converter = compare_with_converter(tools, self.trained.adapter, Path(self.named.where), path, scratch)
        warnings = done.warnings
        if llama.same_tokens is not None and llama.same_tokens < llama.prompts:
            warnings += (
                f"llama-server's chat template and tokenizer give other token ids than training for "
                f"{llama.prompts - llama.same_tokens} of {llama.prompts} prompts; pass the template of training with "
                "--chat-template-file",
            )
        return replace(done, llama=llama, converter=converter, warnings=warnings)

    def _merged(self, done: Exported, reference: Logits) -> Exported:
        """Merged in float32, saved in the base's type, loaded again from disk, and compared."""
        from evaluation.merging import write_merged
        from probes.generate.sampler import generate

        with adapted(self.base, self.trained.adapter) as model:
            before = generate(model, self.base.renderer, self.questions, ANSWERED)
        settings, device = self.named.settings, self.request.device
        del self.base, model
        gc.collect()
        stored = write_merged(settings, self.named.folder, self.trained.adapter, self.folder, device)
        self.note(f"merged, and saved in {str(stored).removeprefix('torch.')}; comparing")
        again = load_base(
            settings.model_copy(update={"path": str(self.folder.resolve()), "adapter": None, "revision": None}),
            self.named.folder,
            "none",
            device,
        )
        check = Check("the merged model, loaded from disk", difference(reference, logits(again.model, self.ids)))
        after = generate(again.model, again.renderer, self.questions, ANSWERED)
        if not check.difference.relative < done.checks[0].difference.relative / 2:
            raise NightlaneError(
                f"a merged model answers as the base with the adapter does, and its logits are "
                f"{check.difference.relative:.2g} of their size away, the base's "
                f"{done.checks[0].difference.relative:.2g}; rounding lost the adapter, so serve it unmerged"
            )
        answers = tuple(
            Answered(text, one[0], two[0]) for text, one, two in zip(self.request.prompts, before, after, strict=False)
        )
        return replace(done, checks=(*done.checks, check), commands=merged_commands(), answers=answers)

    def _check(self, what: str, reference: Logits, other: Logits, done: Exported) -> Check:
        """NightlaneError if logits differ by more than rounding, or by half of what the adapter changes."""
        close = CLOSE.get(self.base.model.dtype, CLOSE_IN_HALF)
        check = Check(what, difference(reference, other), min(close, done.checks[0].difference.relative / 2))
        if check.at_most is None or not check.difference.relative <= check.at_most:
            raise NightlaneError(
                f"an export answers as PEFT's adapter does, and the logits of {what} are "
                f"{check.difference.relative:.2g} of their size away (at most {check.at_most:.2g}); report this "
                "as a defect, and serve PEFT's own files"
            )
        return check


@contextmanager
def _fitting(trained: TrainedAdapter, base: ExportBase) -> Iterator[None]:
    """BadInput if PEFT cannot put the adapter on the base."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        why = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{trained.adapter} does not fit the base {base.name} ({why}); give the base that it was trained on with "
            "--base"
        ) from None


def _require_all_read(model: Any, trained: TrainedAdapter) -> None:
    """ValueError if PEFT left out a part of the adapter, as it does with layers that the base lacks."""
    with safe_open(trained.adapter / ADAPTER_WEIGHTS, "pt") as saved:
        read = get_peft_model_state_dict(model, save_embedding_layers=False)
        odd = sorted(name for name in saved.keys() if ".lora_" in name and name not in read)  # noqa: SIM118
    if odd:
        raise ValueError(f"the base has no place for {odd[0]}")


def _require_change(trained: TrainedAdapter, change: Check) -> None:
    if not change.difference.relative > 0:
        raise BadInput(
            f"an adapter changes its base, and the logits with {trained.adapter} are those of the base; train it longer"
        )


@contextmanager
def _full_disk_named(output: Path) -> Iterator[None]:
    """safetensors reports a full disk by an error of its own."""
    try:
        yield
    except SafetensorError as error:
        if "os error 28" not in str(error):
            raise
        raise DiskFull(f"the disk is full and {output} cannot be written; free some space") from None


def _files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
