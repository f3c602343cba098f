"""A probe without nightlane, as most people would write it: TRL, PEFT and transformers' generate.

    python -m bench.speed.plain_probe JOB.json        trains, answers, and writes answers.json beside the job

bench.speed.engine compares with it: with a new process for each probe, and with ``answer`` in a warm process.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
PROMPTS = 64
"""Prompts that are answered at once."""


def train(model: Any, tokenizer: Any, job: dict[str, Any], folder: Path) -> Any:
    """The model with a trained adapter. ``job``: the parameters of a recipe, ``seed``, ``steps`` and ``rows``."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import DPOConfig, DPOTrainer
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    set_seed(job["seed"])
    trainer_of, config_of = (DPOTrainer, DPOConfig) if job["objective"] == "dpo" else (ORPOTrainer, ORPOConfig)
    config = config_of(
        output_dir=str(folder),
        max_steps=job["steps"],
        per_device_train_batch_size=min(8, job["effective_batch"]),
        gradient_accumulation_steps=max(1, job["effective_batch"] // 8),
        learning_rate=job["learning_rate"],
        lr_scheduler_type=job["scheduler"],
        warmup_steps=job["warmup"],
        beta=job["beta"],
        max_length=job["max_length"],
        gradient_checkpointing=False,
        seed=job["seed"],
        use_cpu=True,
        bf16=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    lora = LoraConfig(
        r=job["lora_rank"],
        lora_alpha=job["lora_alpha"],
        lora_dropout=job["lora_dropout"],
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    rows = Dataset.from_list(job["rows"])
    trainer = trainer_of(model=model, args=config, train_dataset=rows, processing_class=tokenizer, peft_config=lora)
    trainer.train()
    trainer.save_model(str(folder / "adapter"))
    return trainer.model


def answer(model: Any, tokenizer: Any, prompts: Sequence[str], job: dict[str, Any]) -> tuple[list[list[str]], int]:
    """``samples`` answers to each prompt, and the number of generated tokens, including the end token of each
    answer."""
    import torch

    tokenizer.padding_side = "left"
    model.eval()
    torch.manual_seed(job["seed"])
    answers: list[list[str]] = []
    tokens = 0
    for start in range(0, len(prompts), PROMPTS):
        batch = tokenizer(list(prompts[start : start + PROMPTS]), return_tensors="pt", padding=True).to(model.device)
        with torch.inference_mode():
            found = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                do_sample=True,
                temperature=job["temperature"],
                top_k=0,
                max_new_tokens=job["max_new_tokens"],
                num_return_sequences=job["samples"],
                pad_token_id=tokenizer.pad_token_id,
            )
        new = found[:, batch["input_ids"].shape[1] :]
        ended = (new == tokenizer.eos_token_id).cumsum(1) - (new == tokenizer.eos_token_id).int() > 0
        tokens += int((~ended).sum())
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        answers += [texts[place : place + job["samples"]] for place in range(0, len(texts), job["samples"])]
    return answers, tokens


def main() -> None:
    path = Path(sys.argv[1])
    job = json.loads(path.read_text(encoding="utf-8"))
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    adapted = train(model, tokenizer, job, path.parent)
    answers, _ = answer(adapted, tokenizer, job["prompts"], job)
    (path.parent / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
