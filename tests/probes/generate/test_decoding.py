from pathlib import Path
from typing import TYPE_CHECKING, Any

import architectures
import pytest
from lazily import Lazily

from probes.inputs.settings import ModelSettings
from probes.model.load import load_base

if TYPE_CHECKING:
    import torch

    from probes.generate import decoding
else:
    torch, decoding = Lazily("torch"), Lazily("probes.generate.decoding")

PROMPTS = [[5, 6, 7], list(range(10, 90)), [8] * 20]  # the second one is longer than a sliding window
MOST = 12


def greedy(logits: "torch.Tensor", *_: Any) -> "torch.Tensor":
    return logits.argmax(-1)


def ends_with(token: int) -> Any:
    return lambda ids: ids[:, -1] == token


def model_of(name: str, folder: Path) -> Any:
    torch.set_num_threads(1)
    architectures.write(name, folder / "model", architectures.byte_tokenizer())
    return load_base(ModelSettings(path="model"), folder, "none", "cpu").model


def generated(model: Any, prompt: list[int], end: int) -> list[int]:
    from transformers import GenerationConfig

    ids = torch.tensor([prompt])
    config = GenerationConfig(do_sample=False, max_new_tokens=MOST, eos_token_id=end, pad_token_id=0)
    found: list[int] = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)[0].tolist()
    return found[len(prompt) :]


@pytest.mark.parametrize("name", architectures.NAMES)
def test_rows_of_a_batch_have_the_tokens_that_generate_gives_each_alone(tmp_path: Path, name: str) -> None:
    model = model_of(name, tmp_path)
    longest = generated(model, PROMPTS[0], -1)
    end = longest[4]  # so that this prompt's rows leave the batch
    alone = [generated(model, prompt, end) for prompt in PROMPTS]
    assert decoding.decode(model, PROMPTS, [2] * 3, greedy, ends_with(end), MOST) == [
        one for one in alone for _ in range(2)
    ]
    assert len(alone[0]) == longest.index(end) + 1


def test_the_models_own_generation_config_does_not_shape_an_answer(tmp_path: Path) -> None:
    model = model_of("qwen2", tmp_path)
    plain = decoding.decode(model, PROMPTS, [1] * 3, greedy, ends_with(-1), MOST)
    model.generation_config.repetition_penalty = 1.5
    assert decoding.decode(model, PROMPTS, [1] * 3, greedy, ends_with(-1), MOST) == plain
    assert generated(model, PROMPTS[0], -1) != plain[0]


def test_a_prompt_is_computed_once_for_all_of_its_rows_and_a_row_that_ended_no_more(tmp_path: Path) -> None:
    model, shapes = model_of("llama", tmp_path), []
    model.register_forward_pre_hook(
        lambda _, args, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    first = [3, 2, 1, 0, *[9] * 20]  # the rows end one after the other, the fourth at once

    def choose(logits: "torch.Tensor", rows: "torch.Tensor", position: int) -> "torch.Tensor":
        return torch.tensor([0 if position >= first[row] else 1 for row in rows.tolist()])

    drawn = decoding.decode(model, PROMPTS[:1], [4], choose, ends_with(0), MOST)
    assert list(map(len, drawn)) == [4, 3, 2, 1]
    assert shapes == [(1, 3), (3, 1), (2, 1), (1, 1)]
