"""What a model cannot do for a study is refused from its configuration and tokenizer alone."""

import importlib
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import architectures
import pytest
import tiny

from common.errors import BadInput
from lanes import build_lanes
from lanes.search_space import LaneSettings
from probes.inputs.material import Material
from probes.inputs.settings import ModelSettings
from probes.model.adapter_files import note_base_adapter, note_prompt_format
from probes.model.compatibility import Requirements, require_fit
from probes.model.load import load_base
from testing import simulated_study


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models without their weights: nothing here may need them."""
    folder = tmp_path_factory.mktemp("models")
    simulated_study.write_data(folder)
    for name in ("llama", "phi3", "gpt2", "qwen3_moe", "gemma3_vision"):
        architectures.write(name, folder / name, architectures.byte_tokenizer())
        for weights in (folder / name).glob("*.safetensors"):
            weights.write_bytes(b"")
    return folder


def material(folder: Path, path: str, **model: Any) -> Material:
    return replace(tiny.material(folder), model=ModelSettings(path=path, **model))


def reach(knobs: dict[str, Any] | None = None, **changes: Any) -> Requirements:
    start = tiny.recipe(**{"lora_dropout": 0.0, **changes})
    lanes = {"hyperparameters": LaneSettings.model_validate(knobs)} if knobs else {}
    return Requirements.of(start, build_lanes(lanes, start, {"even": {"good": 1}}, ("good", "broken")).knobs)


def refused(found: Material, asked: Requirements) -> str:
    with pytest.raises(BadInput) as told:
        require_fit(found, asked)
    return str(told.value)


@pytest.mark.parametrize("name", ["llama", "phi3", "gpt2", "qwen3_moe", "gemma3_vision"])
def test_a_model_that_can_do_it_is_accepted(models: Path, name: str) -> None:
    assert require_fit(material(models, name), reach()) is not None


def test_targets_are_held_against_the_model_whatever_a_lane_may_choose(models: Path) -> None:
    told = refused(material(models, "phi3"), reach({"lora_targets": True}))
    assert "lora_targets=q_proj+v_proj names q_proj, v_proj, and this model (phi3) has no such linear layer" in told
    require_fit(material(models, "llama"), reach({"lora_targets": True}))


def test_a_lane_that_gives_experts_dropout_is_refused(models: Path) -> None:
    told = refused(material(models, "qwen3_moe"), reach({"lora_dropout": True}))
    assert "lora_dropout can be 0.5; set lora_dropout = 0 under [recipe] and take that knob out" in told
    assert "name k_proj, o_proj, q_proj, v_proj" in told
    require_fit(material(models, "qwen3_moe"), reach({"lora_dropout": True}, lora_targets=("q_proj", "v_proj")))


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3_vision"])
def test_lengths_beyond_the_positions_are_refused(models: Path, name: str) -> None:
    found = material(models, name)
    assert "the model's 256 positions, and it can be 257" in refused(found, reach(max_length=257))
    wide = reach({"max_length": {"low": 64, "high": 512}})
    assert "it can be 512" in refused(found, wide)
    require_fit(found, reach({"max_length": {"low": 64, "high": 256}}))
    longer = replace(found, probe=found.probe.model_copy(update={"max_new_tokens": 240}))
    assert "and max_new_tokens=240; lower max_new_tokens under [probe]" in refused(longer, reach())


def test_stretched_positions_count(models: Path) -> None:
    path = models / "stretched" / "config.json"
    shutil.copytree(models / "llama", path.parent)
    config = json.loads(path.read_text())
    rope = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 256}
    path.write_text(json.dumps({**config, "rope_parameters": rope}))
    require_fit(material(models, "stretched"), reach(max_length=1024))
    assert "1024 positions" in refused(material(models, "stretched"), reach(max_length=1025))


def test_a_tokenizer_that_is_larger_than_the_model_or_knows_no_end_is_refused(models: Path) -> None:
    for name in ("large", "endless"):
        shutil.copytree(models / "llama", models / name)
    tokenizer = architectures.byte_tokenizer()
    tokenizer.add_tokens([f"<{number}>" for number in range(100)])
    tokenizer.save_pretrained(models / "large")
    assert "has 358 tokens and the embedding 320 rows" in refused(material(models, "large"), reach())
    settings = models / "endless" / "tokenizer_config.json"
    config = json.loads(settings.read_text())
    settings.write_text(json.dumps({key: value for key, value in config.items() if key != "eos_token"}))
    assert "this tokenizer has none; set eos_token" in refused(material(models, "endless"), reach())


def test_an_adapter_of_another_model_is_refused_without_weights(models: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(models / "llama")
    lora = LoraConfig(r=2, target_modules=["q_proj", "gate_proj"], task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_config(config), lora).save_pretrained(models / "sft")
    require_fit(material(models, "llama", adapter="sft"), reach())
    assert "is no adapter of this model" in refused(material(models, "phi3", adapter="sft"), reach())
    tokenizer = architectures.byte_tokenizer()
    tokenizer.save_pretrained(models / "sft")
    require_fit(material(models, "llama", adapter="sft"), reach())
    for beside in ("chat_template.jinja", "tokenizer_config.json"):
        text = "{% for m in messages %}{{ m.content }}!{% endfor %}"
        (models / "sft" / beside).write_text(text if "jinja" in beside else json.dumps({"chat_template": text}))
        told = refused(material(models, "llama", adapter="sft"), reach())
        assert "holds a chat template and the model has " in told
        assert ('chat_template = "sft/chat_template.jinja" under' in told) == ("jinja" in beside)
        (models / "own.jinja").write_text(text)
        require_fit(material(models, "llama", adapter="sft", chat_template="own.jinja"), reach())
        require_fit(material(models, "llama", adapter="sft", chat="never"), reach())
        (models / "sft" / beside).unlink()
    tokenizer.add_tokens(["<other>"])
    tokenizer.save_pretrained(models / "sft")
    told = refused(material(models, "llama", adapter="sft"), reach())
    assert "'<other>' as token 258 and the model's has it as none" in told
    (models / "sft" / "adapter_model.safetensors").write_bytes(b"cut")
    assert "is no adapter of this model" in refused(material(models, "llama", adapter="sft"), reach())


def test_what_is_not_at_hand_is_left_for_the_run(models: Path) -> None:
    assert require_fit(material(models, "nobody/has-this-model"), reach(max_length=4096)) is None


def copied(models: Path, folder: Path) -> Path:
    shutil.copytree(models / "llama", folder / "model")
    simulated_study.write_data(folder)
    return folder / "model"


@pytest.mark.parametrize(
    ("name", "contents", "told"),
    [
        ("tokenizer.json", b"", "could not be loaded"),
        ("tokenizer.json", b"{}", "could not be loaded"),
        ("tokenizer.json", b'{"version": "1.0", "model": {"type": "none"}}', "could not be loaded"),
        ("tokenizer.json", b"\xff\xfe", "could not be loaded"),
        ("tokenizer_config.json", b"{", "could not be loaded"),
        ("tokenizer*", None, "could not be loaded"),
        ("config.json", b"{", "could not be loaded"),
        ("config.json", b"{}", "could not be loaded"),
        ("config.json", b'{"model_type": "nobodys"}', "could not be loaded"),
        ("config.json", b'{"model_type": "t5"}', "(t5) is an encoder with a decoder; give a decoder-only model"),
        ("config.json", b'{"model_type": "bart"}', "(bart) is an encoder with a decoder"),
        ("config.json", b'{"model_type": "bert"}', "(bert) is an encoder, whose tokens see those that follow them"),
        ("config.json", b'{"model_type": "roberta"}', "(roberta) is an encoder, whose tokens see those that follow"),
        ("config.json", b'{"model_type": "vit"}', "(vit) cannot be loaded as one by transformers"),
        ("config.json", b'{"model_type": "llama", "hidden_size": "much"}', "could not be loaded"),
        ("config.json", None, "without config.json"),
        ("*.safetensors", None, "without weights (no .safetensors, .bin, .gguf file); restore them"),
        ("chat_template.jinja", b"{% for", "is no Jinja template (line 1: "),
    ],
)
def test_a_model_that_is_there_and_broken_is_refused_in_one_sentence(
    models: Path, tmp_path: Path, name: str, contents: bytes | None, told: str
) -> None:
    folder = copied(models, tmp_path)
    if contents is None:
        for path in list(folder.glob(name)):
            path.unlink()
    else:
        (folder / name).write_bytes(contents)
    said = refused(material(tmp_path, "model"), reach())
    assert told in said
    assert "[model] path='model'" in said
    assert "\n" not in said


def test_what_is_no_model_at_all_is_refused(models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path)
    assert "path='modell' is neither a folder beside the study nor a hub" in refused(
        material(tmp_path, "modell"), reach()
    )
    assert "is a file, and a model is a folder" in refused(material(tmp_path, "model/config.json"), reach())
    (folder / "config.json").rename(folder / "adapter_config.json")
    assert "it holds an adapter: name the model" in refused(material(tmp_path, "model"), reach())


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        (b"\xff{{ messages }}", "is not UTF-8 (byte 0); save it as UTF-8"),
        (b"{% if messages %}\n{{ messages", "is no Jinja template (line 2: "),
        (b" \n", "is empty; write a template"),
    ],
)
def test_a_chat_template_that_is_none_is_refused(models: Path, tmp_path: Path, contents: bytes, told: str) -> None:
    copied(models, tmp_path)
    (tmp_path / "own.jinja").write_bytes(contents)
    said = refused(material(tmp_path, "model", chat_template="own.jinja"), reach())
    assert told in said
    assert "own.jinja ([model] chat_template)" in said


SMALL: dict[str, Any] = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 1}
GPT_OSS = {
    **SMALL,
    "model_type": "gpt_oss",
    "intermediate_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "layer_types": ["full_attention"],
    "max_position_embeddings": 4096,
}


def configured(models: Path, tmp_path: Path, **config: Any) -> Material:
    (copied(models, tmp_path) / "config.json").write_text(json.dumps(config))
    return material(tmp_path, "model")


def test_what_peft_refuses_is_told_before_anything_is_trained(models: Path, tmp_path: Path) -> None:
    mamba = configured(models, tmp_path, **SMALL, model_type="mamba", state_size=4)
    told = refused(mamba, reach(lora_targets=("all-linear",)))
    assert "PEFT puts no adapter on lora_targets=all-linear of this model (" in told
    require_fit(mamba, reach(lora_targets=("in_proj",)))


def test_experts_that_peft_does_not_know_are_not_left_out_without_a_word(models: Path, tmp_path: Path) -> None:
    experts = configured(models, tmp_path, **GPT_OSS)
    told = refused(experts, reach(lora_targets=("all-linear",)))
    assert "PEFT does not know those of this one (gpt_oss: down_proj, gate_up_proj, router); name linear layers" in told
    require_fit(experts, reach(lora_targets=("q_proj", "v_proj")))


def test_an_sft_adapter_that_needs_another_or_was_asked_otherwise_is_refused(models: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = models / "second"
    lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(models / "llama"))
    get_peft_model(model, lora).save_pretrained(folder)
    found = material(models, "llama", adapter="second")
    note_base_adapter(folder, "0" * 16, held=False)
    assert "was trained on top of another adapter, and only one is put on the model" in refused(found, reach())
    note_base_adapter(folder, "0" * 16, held=True)
    renderer = require_fit(found, reach())
    assert renderer is not None
    note_prompt_format(folder, renderer)
    require_fit(found, reach())
    (models / "own.jinja").write_text("{% for m in messages %}{{ m.content }}!{% endfor %}")
    other = material(models, "llama", adapter="second", chat_template="own.jinja")
    assert "was trained with another chat template, chat_template_kwargs, date or tokenizer" in refused(other, reach())
    architectures.write("llama", models / "whole", architectures.byte_tokenizer())
    with pytest.raises(BadInput, match=r"set these under \[model\] as the study has them that trained it"):
        load_base(other.model.model_copy(update={"path": "whole"}), models, "none", "cpu")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"init_lora_weights": "lora_ga"}, "changed the base's own weights (init_lora_weights='lora_ga')"),
        ({"init_lora_weights": "mica"}, "changed the base's own weights"),
        ({"init_lora_weights": "pissa_niter_4"}, "changed the base's own weights"),
        ({"monteclora_config": {"x": 1}}, "has monteclora_config"),
        ({"kasa_config": {"x": 1}}, "has kasa_config"),
        ({"use_dora": True}, "has use_dora"),
        ({"init_lora_weights": "eva"}, ""),
        ({"init_lora_weights": "gaussian", "use_rslora": True}, ""),
    ],
)
def test_an_adapter_of_a_variant_that_is_more_than_lora_is_refused(changes: dict[str, Any], told: str) -> None:
    from peft import LoraConfig

    config = LoraConfig(r=2)
    for name, value in changes.items():
        setattr(config, name, value)
    from probes.model.sft_adapter import _extra_settings

    assert told in _extra_settings(config)
    assert bool(_extra_settings(config)) == bool(told)


def test_what_libraries_log_of_missing_kernels_reaches_nobody(caplog: pytest.LogCaptureFixture) -> None:
    importlib.import_module("probes.train.trl")
    importlib.import_module("bitsandbytes")
    logging.getLogger("bitsandbytes.backends.cpu.ops").warning("kernel")
    assert not caplog.records
