"""The base model: a byte-pair tokenizer of 512 tokens and a decoder of about a million parameters.

Trained from scratch on the corpus with a plain loop: AdamW, warm-up and cosine, one thread, one seed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import printable

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils.logging import disable_progress_bar

from labs._build.files import replace_folder
from labs._build.material import BuildFigures, BuildProgress
from labs.microcoder.corpus import Document
from labs.microcoder.material import Size

Encoded = tuple[list[int], list[int]]
END, PADDING = "<eos>", "<pad>"
VOCABULARY = 512
PROMPT_WEIGHT = 0.1


@dataclass(frozen=True)
class TrainedBase:
    """A model that was pre-trained and saved, and its figures for the manifest."""

    model: Qwen3ForCausalLM
    tokenizer: PreTrainedTokenizerFast
    figures: BuildFigures


def make_base(
    folder: Path, corpus: Sequence[Document], size: Size, progress: BuildProgress, chat_template: str | None = None
) -> TrainedBase:
    """Trains the base on the corpus and saves it in `folder`."""
    tokenizer = train_tokenizer(corpus)
    tokenizer.chat_template = chat_template
    model = new_model(tokenizer, size, size.seed)
    losses = pretrain(model, tokenizer, corpus, size, size.seed, lambda share: progress("base model", share))
    replace_folder(folder, lambda partial: save(model, tokenizer, partial))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    figures = {"parameters": parameters, "final loss": round(sum(losses[-20:]) / len(losses[-20:]), 4)}
    return TrainedBase(model, tokenizer, figures)


def train_tokenizer(corpus: Sequence[Document]) -> PreTrainedTokenizerFast:
    """Its alphabet is printable ASCII (nothing else occurs here), which leaves most of the 512 for merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    pieces = tokenizer.pre_tokenizer.pre_tokenize_str(printable)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PADDING, END],
        initial_alphabet=sorted({character for piece, _ in pieces for character in piece}),
        show_progress=False,
    )
    tokenizer.train_from_iterator((d.prompt + d.function for d in corpus), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PADDING, clean_up_tokenization_spaces=False
    )


def new_model(tokenizer: PreTrainedTokenizerFast, size: Size, seed: int) -> Qwen3ForCausalLM:
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=size.hidden,
            intermediate_size=3 * size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=size.hidden // 4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def pretrain(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    corpus: Sequence[Document],
    size: Size,
    seed: int,
    progress: Callable[[float], None],
) -> list[float]:
    """The loss of every step. A token of the prompt counts a tenth of a token of the function.

    The task is not to write prompts, so they get little of the few steps. But ORPO's likelihood term covers them, too,
    and a base that had never learnt them would learn nothing else in a probe.
    """
    rows = _encode(tokenizer, corpus)
    batches = _batches(rows, size, Random(seed))
    optimizer = torch.optim.AdamW(model.parameters(), lr=size.learning_rate, betas=(0.9, 0.95), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, size.steps))
    model.train()
    losses = []
    for step, batch in enumerate(batches):
        tokens, mask, weights = _pad(batch, tokenizer.pad_token_id, tokenizer.eos_token_id)
        logits = model(input_ids=tokens, attention_mask=mask).logits
        losses_of_tokens = cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        loss = (losses_of_tokens * weights[:, 1:].flatten()).sum() / weights[:, 1:].sum()
        torch.autograd.backward([loss])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        progress((step + 1) / size.steps)
    model.eval()
    return losses


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _rate(step: int, steps: int) -> float:
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _encode(tokenizer: PreTrainedTokenizerFast, corpus: Sequence[Document]) -> list[Encoded]:
    prompts = tokenizer([document.prompt for document in corpus])["input_ids"]
    functions = tokenizer([document.function for document in corpus])["input_ids"]
    return list(zip(prompts, functions, strict=True))


def _batches(rows: list[Encoded], size: Size, random: Random) -> list[list[Encoded]]:
    """Documents of similar length together (little padding), the batches in random order."""
    chosen = random.sample(rows, size.steps * size.batch)
    pool = 16 * size.batch
    batches = []
    for start in range(0, len(chosen), pool):
        near = sorted(chosen[start : start + pool], key=lambda row: len(row[0]) + len(row[1]))
        batches += [near[first : first + size.batch] for first in range(0, len(near), size.batch)]
    random.shuffle(batches)
    return batches


def _pad(batch: list[Encoded], padding: int, end: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, attention mask and loss weights, each of shape [documents, longest]."""
    longest = max(len(prompt) + len(function) for prompt, function in batch) + 1
    tokens = torch.full((len(batch), longest), padding)
    mask = torch.zeros((len(batch), longest), dtype=torch.long)
    weights = torch.zeros((len(batch), longest))
    for row, (prompt, function) in enumerate(batch):
        document = [*prompt, *function, end]
        tokens[row, : len(document)] = torch.tensor(document)
        mask[row, : len(document)] = 1
        weights[row, : len(prompt)] = PROMPT_WEIGHT
        weights[row, len(prompt) : len(document)] = 1
    return tokens, mask, weights
