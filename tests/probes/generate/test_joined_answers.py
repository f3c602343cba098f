"""Adapters that share forward passes: each answers what it answers alone."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lazily import Lazily
from long_cases import all_but

from probes.inputs.settings import ModelSettings
from probes.model.load import Base, load_base

if TYPE_CHECKING:
    import torch

    from probes.generate import sampler
    from probes.model import adapter, joined_adapters
else:
    torch, sampler = Lazily("torch"), Lazily("probes.generate.sampler")
    adapter, joined_adapters = Lazily("probes.model.adapter"), Lazily("probes.model.joined_adapters")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

PROMPTS = ["# double\n", "# a much longer prompt, so that the batch pads\n", "# x\n"]
ADAPTERS: list[dict[str, Any]] = [
    {"r": 4, "lora_alpha": 64, "target_modules": ["q_proj", "v_proj"]},
    {"r": 16, "lora_alpha": 16, "use_rslora": True, "target_modules": ["v_proj", "down_proj"]},
    {"r": 4, "lora_alpha": 32, "target_modules": ["q_proj", "up_proj"]},
]


@pytest.fixture(scope="module", params=all_but(["none"], ["none", "nf4"]))
def base(request: pytest.FixtureRequest, tiny_folder: Path) -> Base:
    return load_base(ModelSettings(path="model"), tiny_folder, request.param, "cpu")


@pytest.fixture(scope="module")
def folders(base: Base, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Adapters that change what the model says; the last one is asked twice."""
    from peft import LoraConfig, get_peft_model

    found = []
    for number, settings in enumerate(ADAPTERS):
        torch.manual_seed(number)
        found.append(tmp_path_factory.mktemp("adapter"))
        config = LoraConfig(init_lora_weights=False, task_type="CAUSAL_LM", **settings)
        get_peft_model(base.model, config).save_pretrained(found[-1])
        adapter.take_off_adapter(base.model)
    shutil.copytree(found[-1], found[-1] / "again")
    return [*found, found[-1] / "again"]


def asked(base: Base) -> list["sampler.AdapterQuestions"]:
    """Of each adapter: other seeds, numbers of samples and questions."""
    questions = list(map(base.renderer.question, PROMPTS))
    samplings = [sampler.Sampling(samples=n, seed=n, max_new_tokens=8, batch_size=4) for n in (3, 5, 1, 3)]
    own = (questions, questions[::-1], questions[:1], questions)
    return [sampler.AdapterQuestions(some, sampling) for some, sampling in zip(own, samplings, strict=True)]


def alone(base: Base, folder: Path, one: "sampler.AdapterQuestions") -> Sequence[Any]:
    with adapter.adapted(base, folder) as model:
        return sampler.sample(model, base.renderer, one.questions, one.sampling)


def test_each_of_several_adapters_answers_what_it_answers_alone(base: Base, folders: list[Path]) -> None:
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    ids = torch.tensor([base.renderer.question(PROMPTS[1]).ids])
    bare = base.model(ids).logits
    expected = [alone(base, folder, one) for folder, one in zip(folders, asked(base), strict=True)]
    with joined_adapters.JoinedAdapters.on(base.model, folders) as joined:
        found = list(sampler.sample_each(base.model, base.renderer, asked(base), joined.carry))
    if base.quantised:  # bfloat16: a token may be another one, and then so is the rest of that answer
        both = zip(found, expected, strict=True)
        pairs = [
            pair
            for own, other in both
            for mine, theirs in zip(own, other, strict=True)
            for pair in zip(mine, theirs, strict=True)
        ]
        assert sum(mine == theirs for mine, theirs in pairs) > 0.8 * len(pairs)
    else:
        assert found == expected
    assert found[0] != found[3]
    assert torch.equal(base.model(ids).logits, bare)
    assert all(torch.equal(before[name], value) for name, value in base.model.state_dict().items())


def test_each_row_sees_its_own_adapter(base: Base, folders: list[Path]) -> None:
    ids = torch.tensor([base.renderer.question(PROMPTS[1]).ids])
    expected = []
    for folder in folders:
        with adapter.adapted(base, folder) as model, torch.no_grad():
            expected.append(model(ids).logits)
    order = torch.tensor([2, 0, 1, 1, 3])
    with joined_adapters.JoinedAdapters.on(base.model, folders) as joined, torch.no_grad():
        joined.carry(order)
        found = dict(zip(order.tolist(), base.model(ids.expand(5, -1)).logits, strict=True))
    for number, folder in enumerate(folders):
        with joined_adapters.JoinedAdapters.on(base.model, [folder]), torch.no_grad():
            single = base.model(ids).logits[0]
        for each in (found[number], single):
            most = (0.1 if base.quantised else 1e-5) * expected[number].abs().max()
            assert (each - expected[number][0]).abs().max() < most


def test_the_layers_are_as_before_also_after_an_error(base: Base, folders: list[Path]) -> None:
    with pytest.raises(RuntimeError, match="no"), joined_adapters.JoinedAdapters.on(base.model, folders):
        raise RuntimeError("no")
    assert not any("forward" in vars(module) for module in base.model.modules())
