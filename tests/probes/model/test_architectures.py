"""Real training of tiny random models: what of each architecture is adapted, what it does, what it leaves behind."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import architectures
import pytest
import tiny
from architectures import MIXTURES_OF_EXPERTS, NAMES
from lazily import Lazily
from long_cases import all_but

from lanes import Recipe
from probes.inputs.settings import MemorySettings, ModelSettings
from probes.inputs.training_rows import order
from probes.model.load import Base, load_base
from testing import simulated_study

if TYPE_CHECKING:
    import torch

    from probes.model import adapter, target_modules
    from probes.train import trl
else:
    torch, trl = Lazily("torch"), Lazily("probes.train.trl")
    adapter, target_modules = Lazily("probes.model.adapter"), Lazily("probes.model.target_modules")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
TEXT = "# double with 3 (good)\ndef double(x):\n"
SIX = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
ADAPTED = {
    "phi3": {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"},
    "gpt2": {"c_attn", "c_proj", "c_fc"},
    "qwen3_moe": {"q_proj", "k_proj", "v_proj", "o_proj", "gate", "experts", "base_layer"},
    "mixtral": {"q_proj", "k_proj", "v_proj", "o_proj", "gate", "experts", "base_layer"},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each architecture and the pairs that are trained on."""
    folder = tmp_path_factory.mktemp("architectures")
    simulated_study.write_data(folder)
    tokenizer = architectures.byte_tokenizer()
    for name in NAMES:
        architectures.write(name, folder / name, tokenizer)
    return folder


def loaded(models: Path, name: str, quantization: str = "none") -> Base:
    return load_base(ModelSettings(path=name), models, quantization, "cpu")


def recipe(name: str, **changes: Any) -> Recipe:
    dropout = 0.0 if name in MIXTURES_OF_EXPERTS else 0.1
    given = {"lora_dropout": dropout, "learning_rate": 0.01, "scheduler": "constant", "warmup": 0.0, **changes}
    return tiny.recipe(**given)


def trained(base: Base, models: Path, wanted: Recipe, folder: Path) -> "trl.Trained | Exception":
    """After two steps."""
    material = tiny.material(models)
    folder.mkdir(parents=True, exist_ok=True)
    rows = order(wanted, material.sources, 8, 1)
    return trl.train(base, [trl.TrainingJob(wanted, rows, 1, folder, lambda step, loss: None)], MemorySettings())[0]


def logits(base: Base, model: Any = None) -> "torch.Tensor":
    ids = base.renderer.tokenizer(TEXT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = (model or base.model)(input_ids=ids).logits
    return found


def contents(base: Base) -> "dict[str, torch.Tensor]":
    return {name: value.clone() for name, value in base.model.state_dict().items()}


def same(one: "dict[str, torch.Tensor]", other: "dict[str, torch.Tensor]") -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", all_but(["gpt2", "qwen3"], NAMES))
def test_all_linear_layers_are_trained_and_taken_off_without_a_trace(models: Path, tmp_path: Path, name: str) -> None:
    from safetensors.torch import load_file

    base = loaded(models, name)
    before, modules, bare = contents(base), [*base.model.named_modules()], logits(base)
    for objective in ("dpo", "orpo"):
        result = trained(base, models, recipe(name, objective=objective), tmp_path / objective)
        assert isinstance(result, trl.Trained), result
        saved = load_file(result.adapter / "adapter_model.safetensors")
        assert {key.split(".lora_")[0].rpartition(".")[2] for key in saved} == ADAPTED.get(name, SIX)
        assert not any(part in key for key in saved for part in ("vision", "projector", "lm_head"))
        with adapter.adapted(base, result.adapter) as model:
            found = logits(base, model)
        with adapter.adapted(base, result.adapter) as model:
            assert torch.equal(found, logits(base, model)), "loaded again, it answers as before"
        assert not torch.allclose(found, bare, atol=1e-3), "it does something"
        assert same(before, contents(base))
        assert modules == [*base.model.named_modules()], "the very same modules"
        assert torch.equal(bare, logits(base))


@pytest.mark.parametrize("name", all_but(["llama"], ["llama", "phi3", "qwen3_moe"]))
@pytest.mark.parametrize("objective", all_but(["orpo"], ["dpo", "orpo"]))
def test_nf4_computes_in_bfloat16_and_a_used_base_trains_as_a_fresh_one(
    models: Path, tmp_path: Path, name: str, objective: str
) -> None:
    from safetensors.torch import load_file

    wanted = recipe(name, objective=objective, quantization="nf4")
    base = loaded(models, name, "nf4")
    before, bare = contents(base), logits(base)
    first = trained(base, models, wanted, tmp_path / "first")
    assert isinstance(first, trl.Trained), first
    assert same(before, contents(base))
    with adapter.adapted(base, first.adapter) as model:
        assert not wide(base, model)
        assert not torch.allclose(logits(base, model), bare, atol=1e-3)
    saved = (first.adapter / "adapter_model.safetensors").read_bytes()
    assert {value.dtype for value in load_file(first.adapter / "adapter_model.safetensors").values()} == {
        torch.bfloat16
    }
    said = json.loads((first.adapter / "adapter_config.json").read_text())
    assert (said["base_model_name_or_path"], said["task_type"]) == (str(models / name), "CAUSAL_LM")
    again = trained(base, models, wanted, tmp_path / "again")
    assert isinstance(again, trl.Trained), again
    assert (again.adapter / "adapter_model.safetensors").read_bytes() == saved
    assert again.final == first.final


def wide(base: Base, model: Any) -> list[str]:
    """What is float32 of the parameters, and of the logits and the cache of each step of a generation."""
    seen = [f"parameter {name}" for name, value in model.named_parameters() if value.dtype == torch.float32]

    def look(module: Any, inputs: Any, output: Any) -> None:
        tensors = [
            output.logits,
            *(part for layer in output.past_key_values.layers for part in (layer.keys, layer.values)),
        ]
        seen.extend(f"{place} {value.dtype}" for place, value in enumerate(tensors) if value.dtype != torch.bfloat16)

    handle = base.model.register_forward_hook(look)
    ids = base.renderer.tokenizer(TEXT, return_tensors="pt")
    model.generate(**ids, max_new_tokens=3, do_sample=False)
    handle.remove()
    return seen


@pytest.mark.parametrize(
    ("name", "targets", "told"),
    [
        ("phi3", ("q_proj", "k_proj", "v_proj", "o_proj"), "names q_proj, k_proj, v_proj, and this model (phi3)"),
        ("phi3", ("q_proj", "v_proj"), "it has down_proj, gate_up_proj, o_proj, qkv_proj;"),
        ("gpt2", ("q_proj",), "it has c_attn, c_fc, c_proj;"),
        ("llama", ("embed_tokens",), "names embed_tokens"),
        ("gemma3_vision", ("out_proj",), "names out_proj"),
        ("qwen3_moe", ("gate_proj", "down_proj"), "names gate_proj without up_proj"),
        ("mixtral", ("gate_proj", "up_proj"), "w1, w2, w3;"),
    ],
)
def test_targets_that_a_model_has_not_are_refused_by_name(
    models: Path, tmp_path: Path, name: str, targets: tuple[str, ...], told: str
) -> None:
    result = trained(loaded(models, name), models, recipe(name, lora_targets=targets, lora_dropout=0.0), tmp_path)
    assert isinstance(result, trl.Untrainable)
    assert told in str(result)


def test_experts_take_no_dropout_and_their_attention_does(models: Path, tmp_path: Path) -> None:
    base = loaded(models, "mixtral")
    refused = trained(base, models, recipe("mixtral", lora_dropout=0.1), tmp_path)
    assert isinstance(refused, trl.Untrainable)
    assert "lora_dropout = 0" in str(refused)
    fine = recipe("mixtral", lora_dropout=0.1, lora_targets=("q_proj", "v_proj"))
    assert isinstance(trained(base, models, fine, tmp_path), trl.Trained)


def test_a_start_that_fails_in_the_middle_leaves_nothing_on_a_mixture_of_experts(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora import ParamWrapper

    base = loaded(models, "qwen3_moe")
    before, modules = contents(base), [*base.model.named_modules()]
    original, calls = ParamWrapper.update_layer, []

    def fail(*arguments: Any, **more: Any) -> None:
        calls.append(1)
        if len(calls) == 4:  # the first layer is wrapped, its experts twice
            raise RuntimeError("in the middle")
        original(*arguments, **more)

    monkeypatch.setattr(ParamWrapper, "update_layer", fail)
    assert isinstance(trained(base, models, recipe("qwen3_moe"), tmp_path), RuntimeError)
    assert same(before, contents(base))
    assert modules == [*base.model.named_modules()]


def test_a_named_layer_is_found_in_the_language_model_alone(models: Path) -> None:
    model = loaded(models, "gemma3_vision").model
    names = target_modules.resolved(model, ("q_proj",))
    assert names == [f"model.language_model.layers.{layer}.self_attn.q_proj" for layer in (0, 1)]
    assert not target_modules.problem(model, ("self_attn.q_proj", "mlp.down_proj"), 0.1)
    assert all(".language_model." in layer for layer in target_modules.linear_layers(model))
