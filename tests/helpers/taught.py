"""The tiny model, trained to write functions, so that its answers can become worse; and a scorer that detects that."""

import itertools
from pathlib import Path

import tiny

from testing import simulated_study

SCORER = """
def score(prompt, answer, category, checks):
    return 10.0 * ("def " in answer)
"""


def write_taught_model(folder: Path, steps: int = 150) -> None:
    """Like ``tiny.write_model``, trained on the chosen answers of the simulated study with other prompts."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tiny.write_model(folder)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    asked = (f"# {category} {number} for you\n" for category in simulated_study.CATEGORIES for number in range(4))
    pairs = zip(itertools.cycle(list(asked)), simulated_study.pairs("good"), strict=False)
    texts = [f"{prompt}{pair['chosen']}{tokenizer.eos_token}" for prompt, pair in pairs]
    rows = [torch.tensor([tokenizer(text)["input_ids"]]) for text in texts]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for step in range(steps):
        two = (rows[(2 * step + place) % len(rows)] for place in range(2))
        sum(model(row, labels=row).loss for row in two).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)


def write_scorer(folder: Path) -> None:
    (folder / "own.py").write_text(SCORER, encoding="utf-8")
