"""A base on several GPUs: which part is where, and whether a pass runs through with each tensor where its operation is.

The devices are pretended: tensors without data (torch's fake tensors), of which those of the second GPU are said to be
on "meta". As on GPUs, an operation on tensors of two devices raises.
"""

from typing import TYPE_CHECKING, Any

import pytest
from lazily import Lazily

from probes.model.placement import device_map, gpus_of_layers, hand_over

if TYPE_CHECKING:
    import accelerate
    import peft
    import torch
    import transformers
else:
    accelerate, peft = Lazily("accelerate"), Lazily("peft")
    torch, transformers = Lazily("torch"), Lazily("transformers")

GPUS = ("cpu", "meta")


@pytest.mark.parametrize(
    ("layers", "rest", "gpus", "expected"),
    [
        (6, 0, 3, [0, 0, 1, 1, 2, 2]),
        (6, 2, 2, [0, 0, 1, 1, 1, 1]),
        (4, 9, 2, [1, 1, 1, 1]),
        (3, 0, 1, [0, 0, 0]),
    ],
)
def test_each_gpu_holds_about_the_same(layers: int, rest: float, gpus: int, expected: list[int]) -> None:
    assert gpus_of_layers([1.0] * layers, rest, gpus) == expected


def to_device(module: Any, device: str, *_: object, **__: object) -> Any:
    """Module.to, which fake tensors do not go along with."""
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, old in store.items():
                if old is not None:
                    new = torch.empty(old.shape, dtype=old.dtype, device=device)
                    trained = old.requires_grad
                    store[name] = torch.nn.Parameter(new, requires_grad=trained) if store is part._parameters else new
    return module


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of torch and transformers about what they do themselves
@pytest.mark.parametrize("tied", [True, False])
def test_training_and_answering_find_each_tensor_on_the_gpu_of_their_layer(
    monkeypatch: pytest.MonkeyPatch, tied: bool
) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from trl.trainer.utils import add_fused_lm_head

    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        vocab_size=16,
        tie_word_embeddings=tied,
    )
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config).requires_grad_(False)
    placed = {part: GPUS[number] for part, number in device_map(model, 2, False).items()}
    layers = [placed[f"model.layers.{number}"] for number in range(4)]
    assert layers == ["cpu", "cpu", "meta", "meta"]
    assert {placed[part] for part in ("model.embed_tokens", "model.norm", "lm_head")} == {"cpu"}
    monkeypatch.setattr(torch.nn.Module, "to", to_device)
    monkeypatch.setattr("accelerate.hooks.set_module_tensor_to_device", lambda *_, **__: None)
    entered = []
    with FakeTensorMode(allow_non_fake_inputs=True):
        for part, device in placed.items():
            to_device(model.get_submodule(part), device)
        model.tie_weights()
        accelerate.dispatch_model(
            model, placed, main_device="cpu", skip_keys=model._skip_keys_device_placement, force_hooks=True
        )
        hand_over(model)
        for layer in model.model.layers:
            layer.register_forward_pre_hook(lambda _, given: entered.append(given[0].device.type))
        add_fused_lm_head(model, outputs=("log_probs",))
        lora = peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"], lora_dropout=0.1)
        adapted = peft.get_peft_model(model, lora)
        adapted.gradient_checkpointing_enable()
        adapted.train()
        ids = torch.zeros(2, 5, dtype=torch.long)
        logits = adapted(input_ids=ids, use_cache=False).logits
        fused = adapted(input_ids=ids, labels=ids, use_cache=False, fused_lm_head=True).log_probs
        assert {logits.device.type, fused.device.type} == {"cpu"}
        (logits.sum() + fused.sum()).backward()
        assert all(one.grad.device == one.device for one in adapted.parameters() if one.requires_grad)
        assert entered[:8] == layers * 2  # so recomputation knows the GPU whose random numbers it repeats
        adapted.eval()
        with torch.no_grad():
            first = adapted(input_ids=ids, use_cache=True)
            after = adapted(input_ids=ids[:, :1], past_key_values=first.past_key_values, use_cache=True)
        assert after.logits.device.type == "cpu"
        assert [layer.keys.device.type for layer in after.past_key_values.layers] == layers
