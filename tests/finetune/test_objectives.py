"""KTO, and a reward model from the REWARD store, with TRL's trainers on the tiny model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from killed import killed_at
from lazily import Lazily
from trainable import TIME, planned, stores

from common.errors import BadInput
from finetune import run as running
from finetune.plan import TrainingPlan, objective_of
from finetune.sources import reward_pairs
from preferences.store.annotations import Review
from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import Row
from preferences.store.stores import Stores
from probes.train.curve import read_curve

if TYPE_CHECKING:
    import torch
else:
    torch = Lazily("torch")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def judged(prompt: int, answer: int, score: float) -> Row:
    return Row(
        kind="reward",
        time=TIME,
        prompt=f"# task number {prompt} of the judge\n",
        texts=(f"def task_{prompt}(x):\n    return x + {answer}\n",),
        scores=(score,),
        category="arithmetic",
        source="harvest",
        provenance=Provenance((TextOrigin("sampled"),), "s1", "s1-001", f"harvest-{prompt}", "k"),
    )


def reward_stores(folder: Path) -> Stores:
    found = stores(folder)
    found.add([judged(prompt, answer, float(9 - 2 * answer)) for prompt in range(8) for answer in range(3)])
    return found


def ready(where: Path, tiny_folder: Path, found: Stores, **changes: Any) -> TrainingPlan:
    if not (where / "model").exists():
        (where / "model").symlink_to(tiny_folder / "model")
    recipe = {"mixture": {"good": 1.0}, **changes.pop("recipe", {})}
    return planned(where, found, recipe=recipe, unreviewed=True, **{"steps": 6, "save_every": 2, **changes})


def test_each_answer_is_paired_with_the_best_to_its_prompt(tmp_path: Path) -> None:
    found = reward_stores(tmp_path)
    found.add([judged(99, 0, 5.0), judged(50, 0, 5.0), judged(50, 1, 5.0)])
    pairs = reward_pairs(found.read("reward"))
    assert len(pairs) == 8 * 2, "one answer, or two of one score, make no pair"
    assert {(pair.chosen[-5:], pair.rejected[-5:]) for pair in pairs} == {
        ("x + 0\n"[-5:], "x + 1\n"[-5:]),
        (" + 0\n", " + 2\n"),
    }


@pytest.mark.long
@pytest.mark.parametrize("objective", ["kto", "reward"])
def test_another_objective_is_trained_watched_and_resumed_to_the_digit(
    tmp_path: Path, tiny_folder: Path, objective: Any
) -> None:
    from safetensors.torch import load_file

    found = reward_stores(tmp_path)
    plan, again = (
        ready(tmp_path, tiny_folder, found, objective=objective, folder=tmp_path / out) for out in ("whole", "killed")
    )
    whole = running.run(plan, 1, lambda _: None)
    assert (whole.objective, whole.done, whole.status) == (objective, 6, "COMPLETE")
    assert bool(whole.spot_checks) == (objective == "kto"), "a reward model does not answer"
    curve = read_curve(tmp_path / "whole" / "train.jsonl")
    assert all({"loss", "grad_norm", "rewards_margin", "tokens_per_second"} <= line.keys() for line in curve)
    killed_at(5, again)
    done = running.run(replace(again, request=replace(again.request, resume=True)), 1, lambda _: None)
    assert (done.final, done.files, done.resumed) == (whole.final, whole.files, 4)
    saved = load_file(tmp_path / "whole" / "adapter" / "adapter_model.safetensors")
    assert all(bool(value.any()) for name, value in saved.items() if "lora_B" in name)
    config = json.loads((tmp_path / "whole" / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["task_type"] == ("SEQ_CLS" if objective == "reward" else "CAUSAL_LM")


def test_a_reward_model_learns_the_order_of_the_scores_and_is_loaded_by_peft(tmp_path: Path, tiny_folder: Path) -> None:
    from peft import AutoPeftModelForSequenceClassification
    from transformers import AutoTokenizer

    found = reward_stores(tmp_path)
    recipe = {"learning_rate": 2e-2, "lora_dropout": 0.0}
    plan = ready(tmp_path, tiny_folder, found, objective="reward", steps=40, save_every=20, recipe=recipe)
    done = running.run(plan, 1, lambda _: None)
    assert done.final["rewards_accuracy"] == 1.0
    (source,) = done.sources
    assert (source.name, source.rows, source.looked_at) == ("reward", 16, "unreviewed")
    out = plan.request.folder / "adapter"
    judge = AutoPeftModelForSequenceClassification.from_pretrained(str(out), num_labels=1).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder / "model")
    judge.config.pad_token_id = tokenizer.pad_token_id
    rewards = []
    for answer in range(3):
        row = judged(3, answer, 1.0)
        ids = tokenizer(f"{row.prompt}{row.texts[0]}{tokenizer.eos_token}", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            rewards.append(float(judge(ids).logits))
    assert rewards[0] == max(rewards)


def test_kto_compares_answers_to_different_prompts() -> None:
    from datasets import Dataset

    from finetune.objectives.kto import unpaired

    rows = Dataset.from_list([{"prompt_ids": [n], "chosen_ids": [10 + n], "rejected_ids": [20 + n]} for n in range(4)])
    found = list(unpaired(rows, 2))
    assert [(one["completion_ids"], one["KL_completion_ids"], one["label"]) for one in found] == [
        ([10], [11], True),
        ([20], [21], False),
        ([11], [10], True),
        ([21], [20], False),
        ([12], [13], True),
        ([22], [23], False),
        ([13], [12], True),
        ([23], [22], False),
    ]


def test_what_these_objectives_cannot_train_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    found = stores(tmp_path)
    with pytest.raises(BadInput, match=r"answers to one prompt with different scores, and .* has none"):
        ready(tmp_path, tiny_folder, found, objective="reward")
    with pytest.raises(BadInput, match="effective_batch=1 has only one prompt; set it to 2 or more"):
        ready(tmp_path, tiny_folder, found, objective="kto", recipe={"effective_batch": 1})
    with pytest.raises(BadInput, match="give kto or reward"):
        objective_of("sft")


def test_a_reward_store_is_trained_on_once_somebody_has_reviewed_it(tmp_path: Path, tiny_folder: Path) -> None:
    found = reward_stores(tmp_path)
    (tmp_path / "model").symlink_to(tiny_folder / "model")
    asked: dict[str, Any] = {"objective": "reward", "recipe": {"mixture": {"good": 1.0}}}
    with pytest.raises(BadInput, match="of the reward store 0 of 5 rows were judged good or bad"):
        planned(tmp_path, found, **asked)
    for row in found.read("reward")[:5]:
        found.review(Review(row.id, "good", "ann", TIME, found.digest("reward")))
    assert planned(tmp_path, found, **asked).sources[0].review.reviewed
