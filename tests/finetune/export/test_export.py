"""An export as a whole: its files, its checks, and what it refuses."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import architectures
import exporting
import pytest
import tiny
from lazily import Lazily

from common.digests import require_own_digest
from common.errors import BadInput, NightlaneError
from finetune.export.exported import PROMPTS, ExportedModel, ExportKind, ExportRequest
from finetune.manifest import Manifest, saved, write_manifest
from probes.inputs.settings import ModelSettings
from probes.model.adapter_files import note_base_adapter, note_prompt_format
from probes.model.load import load_renderer

if TYPE_CHECKING:
    import safetensors.torch as tensors

    import finetune.export.export as exporter
else:
    tensors, exporter = Lazily("safetensors.torch"), Lazily("finetune.export.export")


def exported(source: Path, output: Path, kind: ExportKind = "adapter", **changes: object) -> ExportedModel:
    values: dict[str, object] = {"source": source, "kind": kind, "output": output}
    return exporter.export(ExportRequest(**{**values, **changes}), lambda done: "a card", lambda line: None)  # type: ignore[arg-type]


def finished_run(folder: Path) -> Path:
    """The folder of a complete full-length run with a tiny Llama."""
    exporting.write(folder)
    run = folder / "run"
    run.mkdir()
    (folder / "adapter").rename(run / "adapter")
    manifest = Manifest(
        study="a study",
        recipe="r1",
        origin="a test",
        seed=42,
        steps=4,
        sources=(),
        base="b1",
        final={"loss": 0.5},
        seconds=1.0,
        tokens=100,
        files=saved(run / "adapter"),
    )
    write_manifest(run, manifest)
    (run / "recipe.toml").write_text('objective = "orpo"\nlearning_rate = 1e-3\n', encoding="utf-8")
    return run


def test_an_adapter_is_exported_byte_by_byte(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    done = exported(run, tmp_path / "out")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (run / "adapter" / name).read_bytes()
    assert done.checks[1].difference.relative == 0
    assert done.trained.run["recipe"] == "r1"
    assert done.trained.recipe["objective"] == "orpo"


def test_the_record_has_the_figures_and_the_digest_of_each_file(tmp_path: Path) -> None:
    from common.digests import file_digest

    done = exported(exporting.write(tmp_path), tmp_path / "out", "gguf")
    text = (tmp_path / "out" / "adapter_export.json").read_text(encoding="utf-8")
    require_own_digest(text)
    record = json.loads(text)
    assert record["files"] == {name: file_digest(tmp_path / "out" / name) for name in ("Modelfile", "adapter.gguf")}
    assert record["checks"][1]["difference"]["relative"] == done.checks[1].difference.relative
    assert (tmp_path / "out" / "README.md").read_text(encoding="utf-8") == "a card"


def test_a_merged_model_is_compared_as_it_lies_on_the_disk(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    done = exported(exporting.write(tmp_path, "qwen3"), tmp_path / "out", "merged")
    bare, merged = done.checks
    assert merged.difference.relative < 1e-5 < bare.difference.relative
    assert len(done.answers) == len(PROMPTS)
    assert all(answer.same for answer in done.answers)
    before = AutoModelForCausalLM.from_pretrained(tmp_path / "model").state_dict()
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()
    assert before.keys() == after.keys()
    assert not before["model.layers.0.mlp.up_proj.weight"].equal(after["model.layers.0.mlp.up_proj.weight"])


def test_a_merge_into_sixteen_bits_is_measured(tmp_path: Path) -> None:
    """The base is stored in bfloat16, so the merged weights are rounded to it, and the figures say by how much."""
    import torch
    from transformers import AutoModelForCausalLM

    adapter = exporting.write(tmp_path)
    AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.bfloat16).save_pretrained(tmp_path / "model")
    done = exported(adapter, tmp_path / "out", "merged")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto").dtype == torch.bfloat16
    assert 1e-4 < done.checks[1].difference.relative < 0.1


def test_a_merge_that_loses_the_adapter_is_refused(tmp_path: Path) -> None:
    """An update that is too small for bfloat16 leaves the base as it was."""
    import torch
    from transformers import AutoModelForCausalLM

    adapter = exporting.write(tmp_path)
    AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.bfloat16).save_pretrained(tmp_path / "model")
    path = adapter / "adapter_model.safetensors"
    small = {name: value * (1e-6 if "lora_B" in name else 1) for name, value in tensors.load_file(path).items()}
    tensors.save_file(small, path, {"format": "pt"})
    with pytest.raises(NightlaneError, match="rounding lost the adapter, so serve it unmerged"):
        exported(adapter, tmp_path / "out", "merged")
    assert not (tmp_path / "out").exists()


def test_dora_is_merged(tmp_path: Path) -> None:
    done = exported(exporting.write(tmp_path, use_dora=True), tmp_path / "out", "merged")
    assert done.checks[1].difference.relative < 1e-4


def test_a_quantised_base_is_refused_and_base_names_another(tmp_path: Path) -> None:
    """As QLoRA notes it: the adapter's configuration names a base in four bits."""
    adapter = exporting.write(tmp_path)
    quantised = tmp_path / "in-4-bits"
    shutil.copytree(tmp_path / "model", quantised)
    config = json.loads((quantised / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "_load_in_4bit": True}
    (quantised / "config.json").write_text(json.dumps(config), encoding="utf-8")
    exporting.change_config(adapter, base_model_name_or_path=str(quantised))
    with pytest.raises(BadInput, match=r"is quantised \(bitsandbytes"):
        exported(adapter, tmp_path / "refused")
    done = exported(adapter, tmp_path / "out", model=ModelSettings(path=str(tmp_path / "model")))
    written = json.loads((tmp_path / "out" / "adapter_config.json").read_text(encoding="utf-8"))
    assert written["base_model_name_or_path"] == str(tmp_path / "model")
    assert done.checks[1].difference.relative == 0


def test_another_base_is_refused(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path)
    other = tmp_path / "other"
    architectures.write("llama", other, architectures.byte_tokenizer(), hidden_size=48)
    with pytest.raises(BadInput, match="has other weights; give --base"):
        exported(adapter, tmp_path / "out", model=ModelSettings(path=str(other)))
    exporting.change_config(adapter, base_model_name_or_path=str(other))
    for kind in ("adapter", "gguf", "merged"):
        with pytest.raises(BadInput, match="does not fit the base"):
            exported(adapter, tmp_path / "out", kind)


def test_a_base_with_fewer_layers_is_refused(tmp_path: Path) -> None:
    """PEFT would leave out the layers that the base lacks, and say nothing."""
    adapter = exporting.write(tmp_path)
    architectures.write("llama", tmp_path / "short", architectures.byte_tokenizer(), num_hidden_layers=1)
    exporting.change_config(adapter, base_model_name_or_path=str(tmp_path / "short"))
    with pytest.raises(BadInput, match=r"the base has no place for base_model\.model\.model\.layers\.1\."):
        exported(adapter, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Found missing adapter keys:UserWarning")
def test_a_damaged_adapter_is_refused(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    path = run / "adapter" / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(BadInput, match="cannot be read"):
        exported(run, tmp_path / "out")
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BadInput, match="is not as it was saved"):
        exported(run, tmp_path / "out")
    path.unlink()
    with pytest.raises(BadInput, match="holds no adapter"):
        exported(run, tmp_path / "out")


def test_an_adapter_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path, init_lora_weights=True)
    with pytest.raises(BadInput, match=r"the logits with .* are those of the base; train it longer"):
        exported(adapter, tmp_path / "out")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path)
    path = adapter / "adapter_model.safetensors"
    weights = tensors.load_file(path)
    next(iter(weights.values()))[0, 0] = float("nan")
    tensors.save_file(weights, path, {"format": "pt"})
    with pytest.raises(BadInput, match="are not finite; the run diverged"):
        exported(adapter, tmp_path / "out")


def test_a_reward_model_is_refused(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path)
    exporting.change_config(adapter, task_type="SEQ_CLS")
    with pytest.raises(BadInput, match="has task_type SEQ_CLS; load it with PEFT"):
        exported(adapter, tmp_path / "out")


def test_a_run_that_is_not_complete_is_refused(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    (run / "finetune.json").unlink()
    with pytest.raises(BadInput, match=r"has no finetune\.json, which is written last"):
        exported(run, tmp_path / "out")


def test_an_output_that_is_in_use_is_refused(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path)
    with pytest.raises(BadInput, match="is not an empty folder"):
        exported(adapter, tmp_path / "model")


def test_an_adapter_on_top_of_another_needs_the_one_that_holds_both(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    shutil.copytree(run / "adapter", run / "combined")
    note_base_adapter(run / "adapter", "below", held=False)
    note_base_adapter(run / "combined", "below", held=True)
    assert exported(run, tmp_path / "out").trained.adapter == run / "combined"
    (run / "finetune.json").unlink()
    with pytest.raises(BadInput, match="give the adapter that holds both"):
        exported(run / "adapter", tmp_path / "other")


def test_a_template_of_the_study_comes_along(tmp_path: Path) -> None:
    """An adapter that was trained with another template than the base's own is exported with a warning, or, with its
    study, with that template."""
    adapter = exporting.write(tmp_path)
    template = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<bot>"
    (tmp_path / "own.jinja").write_text(template, encoding="utf-8")
    settings = ModelSettings(path="model", chat_template="own.jinja")
    note_prompt_format(adapter, load_renderer(settings, tmp_path))
    done = exported(adapter, tmp_path / "bare", "gguf")
    assert "another chat template" in done.warnings[0]
    material = replace(tiny.material(tmp_path), model=settings)
    done = exported(adapter, tmp_path / "out", "gguf", material=material)
    assert done.warnings == ()
    assert (tmp_path / "out" / "chat_template.jinja").read_text(encoding="utf-8") == template
    assert "--chat-template-file chat_template.jinja" in done.commands[0].command
    exported(adapter, tmp_path / "whole", "merged", material=material)
    assert (tmp_path / "whole" / "chat_template.jinja").read_text(encoding="utf-8") == template


@pytest.mark.parametrize("kind", ["adapter", "gguf", "merged"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, kind: ExportKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when the record is written, after all that is large."""
    adapter = exporting.write(tmp_path)

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("finetune.export.export.write_durably", full)
    with pytest.raises(OSError, match="No space left"):
        exported(adapter, tmp_path / "out", kind)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_full_disk_is_told_where_safetensors_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    def full(*arguments: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("evaluation.merging.write_merged", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/out'"):
        exported(exporting.write(tmp_path), tmp_path / "out", "merged")
    assert not (tmp_path / "out").exists()


def test_what_belongs_to_llama_cpp_is_refused_without_it(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path)
    with pytest.raises(BadInput, match=r"--base-gguf is the base for llama\.cpp"):
        exported(adapter, tmp_path / "out", "gguf", base_gguf=tmp_path / "base.gguf")
