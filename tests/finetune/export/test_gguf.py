"""The GGUF adapter: its tensors, its alpha, and the logits that it gives, for each architecture."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import exporting
import gguf
import numpy
import pytest
from lazily import Lazily

from bench.faults.injection.supervisor import Fault, Supervisor
from common.errors import BadInput
from finetune.export.base import base_for
from finetune.export.exported import ExportedModel, ExportRequest
from finetune.export.trained import find_trained
from probes.model.load import load_base

if TYPE_CHECKING:
    import safetensors.torch as saved_tensors
    import torch

    import finetune.export.export as exporter
    from finetune.export import gguf_file, lora_weights
else:
    torch, saved_tensors = Lazily("torch"), Lazily("safetensors.torch")
    exporter, gguf_file = Lazily("finetune.export.export"), Lazily("finetune.export.gguf_file")
    lora_weights = Lazily("finetune.export.lora_weights")

PERMUTED, PLAIN = ("llama", "mistral"), ("qwen2", "qwen3", "gemma2", "gemma3", "gemma3_vision")
NAMES = {"llama": "llama", "mistral": "llama", "gemma3_vision": "gemma3"}
"""llama.cpp's name of an architecture, where it is another."""


def exported(adapter: Path, output: Path, **changes: object) -> ExportedModel:
    values: dict[str, object] = {"source": adapter, "kind": "gguf", "output": output}
    return exporter.export(ExportRequest(**{**values, **changes}), lambda done: "", lambda line: None)  # type: ignore[arg-type]


def tensors(path: Path) -> dict[str, numpy.ndarray]:
    return {one.name: one.data for one in gguf.GGUFReader(path).tensors}


def alpha(path: Path) -> float:
    return float(gguf.GGUFReader(path).fields["adapter.lora.alpha"].contents())


@pytest.mark.parametrize("architecture", [*PERMUTED, *PLAIN])
def test_a_file_gives_the_logits_of_pefts_adapter(tmp_path: Path, architecture: str) -> None:
    done = exported(exporting.write(tmp_path, architecture), tmp_path / "out")
    bare, read_back = done.checks
    assert bare.difference.relative > 0.1
    assert read_back.difference.relative < 1e-6
    assert read_back.difference.same_top == 1
    fields = gguf.GGUFReader(tmp_path / "out" / "adapter.gguf").fields
    assert fields["general.architecture"].contents() == NAMES.get(architecture, architecture)
    assert fields["general.type"].contents() == "adapter"
    assert fields["adapter.type"].contents() == "lora"


@pytest.mark.parametrize(("architecture", "moved"), [("llama", True), ("mistral", True), ("qwen3", False)])
def test_rows_of_q_and_k_are_in_the_order_of_llama_cpp(tmp_path: Path, architecture: str, moved: bool) -> None:
    """Of Llama's shapes, neighbours form a pair in a head's rows; q has four heads of eight rows here, and k two."""
    adapter = exporting.write(tmp_path, architecture)
    exported(adapter, tmp_path / "out")
    saved, written = (
        saved_tensors.load_file(adapter / "adapter_model.safetensors"),
        tensors(tmp_path / "out" / "adapter.gguf"),
    )
    for side, name, heads in (("q_proj", "attn_q", 4), ("k_proj", "attn_k", 2)):
        b = saved[f"base_model.model.model.layers.1.self_attn.{side}.lora_B.weight"].numpy()
        rows = b.shape[0] // heads
        order = [
            head * rows + half * rows // 2 + place
            for head in range(heads)
            for place in range(rows // 2)
            for half in (0, 1)
        ]
        assert numpy.array_equal(written[f"blk.1.{name}.weight.lora_b"], b[order] if moved else b)
    v = saved["base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"].numpy()
    assert numpy.array_equal(written["blk.1.attn_v.weight.lora_b"], v)


@pytest.mark.parametrize(("rslora", "expected"), [(False, 6.0), (True, 6.0 * math.sqrt(4))])
def test_alpha_is_that_which_llama_cpp_divides_by_the_rank(tmp_path: Path, rslora: bool, expected: float) -> None:
    done = exported(exporting.write(tmp_path, "qwen2", use_rslora=rslora), tmp_path / "out")
    assert alpha(tmp_path / "out" / "adapter.gguf") == pytest.approx(expected)
    assert done.checks[1].difference.relative < 1e-6


def test_a_file_with_another_alpha_or_order_is_not_given_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check sees what a wrong converter would write."""
    from common.errors import NightlaneError

    adapter = exporting.write(tmp_path, "llama", use_rslora=True)
    with monkeypatch.context() as patch:
        patch.setattr("finetune.export.gguf_file.reordered", lambda rows, heads: rows)
        with pytest.raises(NightlaneError, match="must give the logits of PEFT's adapter"):
            exported(adapter, tmp_path / "order")
    with monkeypatch.context() as patch:
        patch.setattr(lora_weights.LoraWeights, "gguf_alpha", property(lambda self: self.alpha))
        with pytest.raises(NightlaneError, match="must give the logits of PEFT's adapter"):
            exported(adapter, tmp_path / "alpha")
    assert not (tmp_path / "order").exists()
    assert not (tmp_path / "alpha").exists()
    assert not list(tmp_path.glob(".*.partial"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 8}}, "alpha_pattern"),
        ({"bias": "all"}, "biases"),
        ({"peft_type": "IA3"}, "not LoRA"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"lora_alpha": 0}, "lora_alpha=0"),
    ],
)
def test_an_adapter_that_a_file_cannot_hold_is_refused_with_the_remedy(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    adapter = exporting.write(tmp_path)
    exporting.change_config(adapter, **changes)
    with pytest.raises(BadInput) as refusal:
        exported(adapter, tmp_path / "out")
    assert reason in str(refusal.value)
    assert "; " in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_patterns_that_change_nothing_are_accepted(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path)
    exporting.change_config(adapter, rank_pattern={"q_proj": 4}, alpha_pattern={"q_proj": 6})
    assert exported(adapter, tmp_path / "out").checks[1].difference.relative < 1e-6


@pytest.mark.parametrize("architecture", ["phi3", "gpt2", "mixtral"])
def test_another_architecture_is_refused(tmp_path: Path, architecture: str) -> None:
    targets = {"phi3": ["o_proj"], "gpt2": ["c_attn"], "mixtral": ["o_proj"]}[architecture]
    adapter = exporting.write(tmp_path, architecture, target_modules=targets, fan_in_fan_out=architecture == "gpt2")
    exporting.change_config(adapter, fan_in_fan_out=False)
    with pytest.raises(BadInput, match=f"the base is {architecture}; serve PEFT's own files"):
        exported(adapter, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
def test_an_adapter_on_the_head_is_refused(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path, target_modules=["lm_head", "q_proj"])
    with pytest.raises(BadInput, match=r"lm_head\.base_layer\.weight, which is none of these"):
        exported(adapter, tmp_path / "out")


def test_the_base_in_the_file_is_the_named_one(tmp_path: Path) -> None:
    exported(exporting.write(tmp_path), tmp_path / "out")
    fields = gguf.GGUFReader(tmp_path / "out" / "adapter.gguf").fields
    assert fields["general.base_model.0.name"].contents() == "model"
    assert str(tmp_path).encode() not in (tmp_path / "out" / "adapter.gguf").read_bytes()


def test_sixteen_bits_are_written_exactly(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path, "qwen2")
    path = adapter / "adapter_model.safetensors"
    saved_tensors.save_file(
        {name: value.bfloat16() for name, value in saved_tensors.load_file(path).items()}, path, {"format": "pt"}
    )
    exported(adapter, tmp_path / "out")
    written = tensors(tmp_path / "out" / "adapter.gguf")["blk.0.attn_q.weight.lora_a"]
    saved = saved_tensors.load_file(path)["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"]
    assert torch.equal(torch.from_numpy(written.copy()), saved.float())


def test_reordering_rows_is_undone_by_transformers() -> None:
    from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

    rows = torch.arange(48.0).reshape(24, 2)
    processor = LlamaTensorProcessor({"num_attention_heads": 4, "num_key_value_heads": 2})
    back = processor.process(gguf_file.reordered(rows, 4).numpy(), name="blk.0.attn_q.weight").weights
    assert numpy.array_equal(back, rows.numpy())
    back = processor.process(gguf_file.reordered(rows, 2).numpy(), name="blk.0.attn_k.weight").weights
    assert numpy.array_equal(back, rows.numpy())


def test_every_linear_layer_of_each_architecture_has_a_tensor(tmp_path: Path) -> None:
    adapter = exporting.write(tmp_path, "gemma2")
    trained = find_trained(adapter)
    base = base_for(trained, None, Path())
    model = load_base(base.settings, base.folder, "none", "cpu").model
    gguf_file.write_gguf(tmp_path / "x.gguf", "x", lora_weights.lora_weights(trained, model), base)
    assert len(tensors(tmp_path / "x.gguf")) == 2 * 2 * len(exporting.LAYERS)
    assert len({one.model_type for one in gguf_file.ARCHITECTURES}) == len(gguf_file.ARCHITECTURES)


def test_an_error_of_the_disk_never_goes_unnoticed(tmp_path: Path) -> None:
    """numpy's own way to write a matrix loses an error of its last bytes."""
    adapter = exporting.write(tmp_path, "qwen3")
    trained = find_trained(adapter)
    base = base_for(trained, None, Path())
    lora = lora_weights.lora_weights(trained, load_base(base.settings, base.folder, "none", "cpu").model)
    (root := tmp_path / "root").mkdir()

    def write() -> int:
        gguf_file.write_gguf(root / "x.gguf", "x", lora, base)
        return 0

    supervisor = Supervisor(root, tmp_path)
    calls = supervisor.run(write, count=True).count
    assert calls > 2
    for at in range(1, calls + 1):
        (root / "x.gguf").unlink(missing_ok=True)
        ended = supervisor.run(write, Fault("error", at))
        assert (ended.code, "OSError" in ended.stderr) == (1, True), f"{at}: {ended.where}"
