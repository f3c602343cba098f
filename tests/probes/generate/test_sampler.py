from pathlib import Path
from typing import TYPE_CHECKING, Any

import architectures
import pytest
import tokenizers_of_all_kinds
from lazily import Lazily

from probes.generate.sampled_text import SampledText
from probes.inputs.settings import ModelSettings
from probes.model.load import Base, load_base

if TYPE_CHECKING:
    import torch

    from probes.generate import sampler
else:
    torch, sampler = Lazily("torch"), Lazily("probes.generate.sampler")

PROMPTS = ["# double\n", "# a much longer prompt, so that the batch pads\n", "# x\n"]


@pytest.fixture(scope="module")
def base(tiny_folder: Path) -> Base:
    torch.set_num_threads(1)
    return load_base(ModelSettings(path="model"), tiny_folder, "none", "cpu")


def answers(base: Base, prompts: list[str], **changes: Any) -> list[list[str]]:
    return sampler.generate(*asked(base, prompts, **changes))


def sampled(base: Base, prompts: list[str], **changes: Any) -> list[list[SampledText]]:
    return sampler.sample(*asked(base, prompts, **changes))


def asked(base: Base, prompts: list[str], **changes: Any) -> tuple[Any, ...]:
    questions = list(map(base.renderer.question, prompts))
    return base.model, base.renderer, questions, sampler.Sampling(**{"max_new_tokens": 8, **changes})


def test_the_same_seed_gives_the_same_answers_and_another_seed_others(base: Base) -> None:
    assert answers(base, PROMPTS, seed=1) == answers(base, PROMPTS, seed=1)
    assert answers(base, PROMPTS, seed=1) != answers(base, PROMPTS, seed=2)


def test_an_answer_depends_on_neither_its_batch_nor_the_other_prompts(base: Base) -> None:
    together = sampled(base, PROMPTS, samples=3)
    assert [sampled(base, [prompt], samples=3)[0] for prompt in PROMPTS] == together
    assert sampled(base, PROMPTS[::-1], samples=3)[::-1] == together
    assert sampled(base, PROMPTS, samples=3, batch_size=2) == together


def test_samples_of_one_prompt_differ_and_more_samples_keep_the_first(base: Base) -> None:
    four = answers(base, PROMPTS, samples=4)
    assert all(len(set(own)) > 1 for own in four)
    assert [own[:2] for own in four] == answers(base, PROMPTS, samples=2)


def test_sampling_follows_the_softmax() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    rows = 20_000
    keys = torch.tensor([sampler.row_key(0, f"prompt {i}", 0) for i in range(rows)])
    drawn = sampler.add_gumbel(logits.expand(rows, 4), keys, 2).argmax(-1)
    shares = torch.bincount(drawn, minlength=4) / rows
    assert torch.allclose(shares, logits.exp(), atol=0.012)


def test_the_noise_is_uniform_and_differs_by_row_position_and_token() -> None:
    keys, tokens = torch.tensor([sampler.row_key(0, str(i), 0) for i in range(200)]), torch.arange(500)
    first, second = sampler.counter_uniform(keys, 0, tokens), sampler.counter_uniform(keys, 1, tokens)
    assert 0 < float(first.min()) < 1e-3
    assert 0.999 < float(first.max()) < 1
    assert abs(float(first.mean()) - 0.5) < 0.005
    assert len(torch.unique(torch.cat([first, second]))) == 2 * first.numel()
    assert abs(float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])) < 0.02


def test_greedy_restrictions_are_kept(base: Base) -> None:
    assert len({tuple(own) for own in answers(base, PROMPTS[:1], samples=3, top_k=1)[0:1]}) == 1
    assert len(set(answers(base, PROMPTS[:1], samples=3, top_k=1)[0])) == 1


def test_a_chat_template_wraps_the_prompt_as_a_users_turn(tiny_folder: Path, tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>", encoding="utf-8")
    chatty = load_base(ModelSettings(path="model", chat_template=str(template)), tiny_folder, "none", "cpu")
    assert chatty.renderer.question("hello").text == "<user>hello<assistant>"
    plain = load_base(ModelSettings(path="model", chat="never"), tiny_folder, "none", "cpu")
    assert plain.renderer.question("hello").text == "hello"


def writes(ids: list[int], first: int, choose: Any) -> Any:
    """Chooses as ``choose`` does, and these tokens from a position on."""

    def chooses(logits: torch.Tensor, rows: torch.Tensor, position: int) -> torch.Tensor:
        place = min(position - first, len(ids) - 1)
        return choose(logits, rows, position) if place < 0 else torch.full((len(rows),), ids[place])

    return chooses


@pytest.mark.parametrize(
    ("kind", "text", "generated"),
    [
        ("ChatML base", "<|im_end|>\n<|im_start|>user\n", 3 + 1),
        ("bos by template", "<end_of_turn>\n<start_of_turn>user\n", 3 + 1),
        ("plain, eos only", "<|endoftext|>\n", 3 + 1),
        ("an end that is no token", "\n### End\n### user:\n", None),
    ],
)
def test_no_token_is_generated_after_the_end_of_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, text: str, generated: int | None
) -> None:
    tokenizer = tokenizers_of_all_kinds.KINDS[kind]()
    architectures.write("llama", tmp_path / "model", tokenizer, vocab_size=512)
    base = load_base(ModelSettings(path="model"), tmp_path, "none", "cpu")
    ids = base.renderer.tokens.bare([text])[0]
    end = base.renderer.tokens.bare(["\n### End"])[0]
    from probes.generate.decoding import decode

    lengths: list[int] = []

    def decodes(model: Any, prompts: Any, copies: Any, choose: Any, *rest: Any) -> Any:
        drawn: list[list[int]] = decode(model, prompts, copies, writes(ids, 3, choose), *rest)
        lengths.extend(map(len, drawn))
        return drawn

    monkeypatch.setattr("probes.generate.sampler.decode", decodes)
    needed = generated or 3 + len(end)
    [[whole]] = sampled(base, ["Two?"], samples=1, max_new_tokens=60)
    assert lengths == [needed]
    assert not whole.cut
    for limit, reason in ((needed, "stop"), (needed - 1, "length")):
        [[one]] = sampled(base, ["Two?"], samples=1, max_new_tokens=limit)
        assert one.finish_reason == reason, f"an end of {needed} tokens and a limit of {limit}"
        assert one.tokens == limit
