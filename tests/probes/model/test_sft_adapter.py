"""An SFT adapter as part of the base: under training, reference, answers, NF4, and held by one adapter for a server."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import architectures
import pytest
import tiny
from lazily import Lazily
from long_cases import all_but

from common.errors import BadInput, NightlaneError
from evaluation.answering import load
from probes.generate.sampled_text import SampledText
from probes.inputs.settings import MemorySettings, ModelSettings, ServingSettings
from probes.inputs.training_rows import order
from probes.model.adapter_files import require_base_adapter
from probes.model.load import Base, base_digest, load_base
from probes.result.reading import Probe, Reading
from probes.run.execute import measure
from probes.run.workbench import Workbench
from testing import simulated_study

if TYPE_CHECKING:
    import peft
    import torch

    from probes.model import adapter as adapters
    from probes.model import merged_adapter as merged
    from probes.train import trl
else:
    peft, torch = Lazily("peft"), Lazily("torch")
    adapters, merged = Lazily("probes.model.adapter"), Lazily("probes.model.merged_adapter")
    trl = Lazily("probes.train.trl")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
TEXTS = ["# double with 3 (good)\ndef double(x):\n", "# half\n"]
WITH = ModelSettings(path="qwen3", adapter="sft")
BARE = ModelSettings(path="qwen3")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, pairs, and an SFT adapter of uneven ranks on some of the layers of one."""
    folder = tmp_path_factory.mktemp("sft")
    simulated_study.write_data(folder)
    for name in ("qwen3", "gpt2", "mixtral"):
        architectures.write(name, folder / name, architectures.byte_tokenizer())
    for name, targets in (("qwen3", ["q_proj", "up_proj"]), ("gpt2", ["c_fc"]), ("mixtral", ["q_proj"])):
        write_adapter(folder, folder / ("sft" if name == "qwen3" else f"sft-{name}"), name, target_modules=targets)
    return folder


def write_adapter(models: Path, folder: Path, name: str, **config: Any) -> None:
    base = load_base(ModelSettings(path=name), models, "none", "cpu")
    torch.manual_seed(1)
    ranks = {"q_proj": 2} if "q_proj" in config["target_modules"] else {}
    given = {"r": 3, "lora_alpha": 5, "rank_pattern": ranks, "fan_in_fan_out": name == "gpt2", **config}
    model = peft.get_peft_model(base.model, peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **given))
    model.save_pretrained(folder)


def trained(base: Base, models: Path, folder: Path, **changes: Any) -> Path:
    recipe = tiny.recipe(**{"learning_rate": 0.02, "warmup": 0.0, "lora_dropout": 0.0, **changes})
    folder.mkdir(parents=True, exist_ok=True)
    material = tiny.material(models)
    job = trl.TrainingJob(recipe, order(recipe, material.sources, 8, 1), 1, folder, lambda step, loss: None)
    result = trl.train(base, [job], MemorySettings())[0]
    assert isinstance(result, trl.Trained), result
    return result.adapter


@pytest.fixture(scope="module")
def on_top(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that was trained on the base with its SFT adapter."""
    return trained(load_base(WITH, models, "none", "cpu"), models, tmp_path_factory.mktemp("on-top"))


def logits(base: Base, model: Any = None) -> "torch.Tensor":
    ids = base.renderer.tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = (model or base.model)(input_ids=ids).logits
    return found


@pytest.mark.parametrize(("name", "adapter"), [("qwen3", "sft"), ("gpt2", "sft-gpt2"), ("mixtral", "sft-mixtral")])
def test_the_base_answers_as_peft_has_the_adapter_answer(models: Path, name: str, adapter: str) -> None:
    base = load_base(ModelSettings(path=name, adapter=adapter), models, "none", "cpu")
    bare = load_base(ModelSettings(path=name), models, "none", "cpu")
    expected = logits(bare, peft.PeftModel.from_pretrained(bare.model, str(models / adapter)).eval())
    assert torch.allclose(logits(base), expected, atol=1e-5)
    with base.adapter.disabled():
        assert torch.equal(logits(base), logits(load_base(ModelSettings(path=name), models, "none", "cpu")))
    assert not torch.allclose(
        logits(base), logits(load_base(ModelSettings(path=name), models, "none", "cpu")), atol=0.01
    )


@pytest.mark.parametrize("quantization", all_but(["none"], ["none", "nf4"]))
@pytest.mark.parametrize("objective", ["dpo", "orpo"])
def test_training_leaves_it_in_place_and_one_adapter_holds_both(
    models: Path, tmp_path: Path, objective: str, quantization: str
) -> None:
    base = load_base(WITH, models, quantization, "cpu")
    before = logits(base)
    adapter = trained(base, models, tmp_path, objective=objective, quantization=quantization)
    assert torch.equal(logits(base), before)
    with adapters.adapted(base, adapter) as model:
        assert not torch.allclose(logits(base, model), before, atol=1e-3)
        with model.disable_adapter():
            assert torch.equal(logits(base, model), before), "the reference has the SFT adapter on"
    assert torch.equal(logits(base), before)
    merged.combine(base, adapter, tmp_path / "combined")
    merged.require_alike(base, adapter, tmp_path / "combined", TEXTS)
    assert merged.distance(base, adapter, adapter, TEXTS) > 0.05, "the adapter alone is not both"
    assert torch.equal(logits(base), before)


@pytest.mark.parametrize("objective", all_but(["dpo"], ["dpo", "orpo"]))
def test_training_on_top_is_training_on_the_merged_model(models: Path, tmp_path: Path, objective: str) -> None:
    from safetensors.torch import load_file

    bare = load_base(BARE, models, "none", "cpu")
    whole = peft.PeftModel.from_pretrained(bare.model, str(models / "sft")).merge_and_unload()
    whole.save_pretrained(tmp_path / "merged")
    bare.renderer.tokenizer.save_pretrained(tmp_path / "merged")
    found: list[Any] = []
    for settings in (WITH, ModelSettings(path=str(tmp_path / "merged")), BARE):
        base = load_base(settings, models, "none", "cpu")
        adapter = trained(base, models, tmp_path / str(len(found)), objective=objective)
        found.append(load_file(adapter / "adapter_model.safetensors"))
    on_top, on_merged, on_bare = found
    assert all(torch.allclose(on_top[name], on_merged[name], atol=1e-3) for name in on_top)
    assert not all(torch.allclose(on_top[name], on_bare[name], atol=1e-2) for name in on_top)


def test_the_combined_adapter_is_plain_peft_of_one_rank_for_the_bare_model(models: Path, tmp_path: Path) -> None:
    base = load_base(WITH, models, "none", "cpu")
    adapter = trained(base, models, tmp_path, lora_targets=("q_proj", "v_proj"))
    with adapters.adapted(base, adapter) as model:
        both = logits(base, model)
    merged.combine(base, adapter, tmp_path / "combined")
    config = json.loads((tmp_path / "combined" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["rank_pattern"]) == (7, 7, {})
    assert config["target_modules"] == ["q_proj", "up_proj", "v_proj"]
    bare = load_base(BARE, models, "none", "cpu")
    model = peft.PeftModel.from_pretrained(bare.model, str(tmp_path / "combined")).eval()
    assert torch.allclose(logits(bare, model), both, atol=1e-5)


def test_what_is_trained_on_experts_is_held_too(models: Path, tmp_path: Path) -> None:
    base = load_base(ModelSettings(path="mixtral", adapter="sft-mixtral"), models, "none", "cpu")
    adapter = trained(base, models, tmp_path)
    merged.combine(base, adapter, tmp_path / "combined")
    merged.require_alike(base, adapter, tmp_path / "combined", TEXTS)


def test_one_that_does_not_hold_both_is_refused(models: Path, on_top: Path) -> None:
    with pytest.raises(NightlaneError, match="of their size away"):
        merged.require_alike(load_base(WITH, models, "none", "cpu"), on_top, on_top, TEXTS)


def test_its_files_are_in_the_digest_of_the_base_and_nothing_is_where_there_is_none(
    models: Path, tmp_path: Path
) -> None:
    write_adapter(models, models / "other", "qwen3", target_modules=["k_proj"])
    found = {base_digest(settings, models) for settings in (BARE, WITH, ModelSettings(path="qwen3", adapter="other"))}
    assert len(found) == 3
    (models / "other" / "README.md").write_text("about it")
    assert base_digest(ModelSettings(path="qwen3", adapter="other"), models) in found
    assert "adapter" not in BARE.model_dump(mode="json")


def test_an_adapter_knows_what_it_stands_on(models: Path, on_top: Path, tmp_path: Path) -> None:
    combined = tmp_path / "combined"
    merged.combine(load_base(WITH, models, "none", "cpu"), on_top, combined)
    require_base_adapter(on_top, WITH, models)
    require_base_adapter(combined, BARE, models)
    with pytest.raises(BadInput, match="the model has none on"):
        require_base_adapter(on_top, BARE, models)
    with pytest.raises(BadInput, match="has one on already"):
        require_base_adapter(combined, WITH, models)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"use_dora": True}, "has use_dora"),
        ({"bias": "all"}, "has bias='all'"),
        ({"modules_to_save": ["embed_tokens"]}, "has modules_to_save"),
        ({"target_modules": ["embed_tokens"]}, "adapts model.embed_tokens"),
        ({"target_modules": ["lm_head"]}, "adapts lm_head"),
    ],
)
def test_what_is_more_than_lora_on_linear_layers_is_refused(
    models: Path, tmp_path: Path, config: dict[str, Any], told: str
) -> None:
    write_adapter(models, tmp_path / "odd", "qwen3", **{"target_modules": ["q_proj"], **config})
    with pytest.raises(BadInput, match=told):
        load_base(replace_adapter(tmp_path / "odd"), models, "none", "cpu")


def replace_adapter(folder: Path) -> ModelSettings:
    return WITH.model_copy(update={"adapter": str(folder)})


def test_an_adapter_of_another_model_is_refused(models: Path, tmp_path: Path) -> None:
    architectures.write("qwen3", models / "wide", architectures.byte_tokenizer(), hidden_size=64)
    write_adapter(models, models / "sft-wide", "wide", target_modules=["q_proj"])
    for name in ("sft-gpt2", "sft-wide"):
        with pytest.raises(BadInput, match="is no adapter of this model"):
            load_base(replace_adapter(models / name), models, "none", "cpu")
    with pytest.raises(BadInput, match=r"adapter_config.json is missing"):
        load_base(replace_adapter(tmp_path), models, "none", "cpu")


def test_a_study_with_it_is_checked_and_keyed(models: Path) -> None:
    material = replace(tiny.material(models), model=WITH)
    assert material.key("test").base != replace(material, model=BARE).key("test").base


class Recording:
    """A server of the bare model, that notes what adapter it is given."""

    about = "answers: recorded"

    def __init__(self, models: Path) -> None:
        self.models = models
        self.logits: list[torch.Tensor] = []

    def answers(
        self, probe: str, adapter: Path, asked: Any, stop: Any, sampling: Any, note: Any
    ) -> list[list[SampledText]]:
        bare = load_base(BARE, self.models, "none", "cpu")
        self.logits.append(logits(bare, peft.PeftModel.from_pretrained(bare.model, str(adapter)).eval()))
        return [[SampledText("x", "stop")] * sampling.samples for _ in asked]

    def close(self) -> None:
        pass


def test_a_server_of_the_bare_model_is_given_an_adapter_that_holds_both(models: Path, tmp_path: Path) -> None:
    serving = ServingSettings(kind="endpoint", model="base")
    material, server = replace(tiny.material(models), model=WITH, serving=serving), Recording(models)
    bench = Workbench(material, "cpu", {}, server=server)  # type: ignore[arg-type]
    probe = Probe(tiny.recipe(learning_rate=0.02), material.key("test"), 42)
    reading = measure(bench, [probe], lambda name: tmp_path / name, lambda progress: None)[0]
    assert isinstance(reading, Reading), reading
    with adapters.adapted(bench.base("none"), tmp_path / probe.id / "adapter") as model:
        both = logits(bench.base("none"), model)
    bench.close()
    assert torch.allclose(server.logits[0], both, atol=1e-5)
    assert not (tmp_path / probe.id / "served").exists()


def test_an_evaluation_puts_it_on_both_sides_and_refuses_an_adapter_that_lacks_it(models: Path, on_top: Path) -> None:
    before, after = load(WITH, models, "none", on_top)
    assert (before.name, after.name) == ("qwen3 + sft", f"qwen3 + sft + {on_top}")
    assert before.base.adapter is not None
    with pytest.raises(BadInput, match="the model has none on; name that adapter too"):
        load(BARE, models, "none", on_top)
