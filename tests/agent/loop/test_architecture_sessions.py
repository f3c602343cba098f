"""Whole sessions of random models of many architectures, with tokenizers of every kind, through the command line.

One of them runs with the other tests; `make test-architectures` runs all.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import architectures
import commands
import pytest
from tokenizers_of_all_kinds import KINDS

from agent.study.load import Study, load_study
from probes.inputs.prompts import Prompt
from probes.inputs.rows.turns import Turn, Turns
from probes.inputs.settings import ModelSettings
from probes.inputs.training_rows import TrainingRow
from probes.model.load import load_base, load_renderer
from probes.rendering.renderer import Renderer
from probes.rendering.row_check import rendered_digest
from probes.result.reading import Reading
from probes.run.store import ProbeStore
from testing import simulated_study
from view.data.results import read_results

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class Case:
    """``model``: lines of the study's section of that name."""

    architecture: str
    kind: str
    objective: str
    quantization: str = "none"
    model: str = ""

    @property
    def name(self) -> str:
        adapter = ", on top of an adapter" if "adapter" in self.model else ""
        return f"{self.architecture}, {self.kind}, {self.objective}, {self.quantization}{adapter}"


CHEAP = Case(architecture="llama", kind="bos by both", objective="dpo")
CASES = (
    CHEAP,
    Case(architecture="llama", kind="plain, bos by post-processor", objective="orpo", quantization="nf4"),
    Case(architecture="llama", kind="today's date", objective="orpo"),
    Case(architecture="llama", kind="plain, metaspace", objective="dpo"),
    Case(architecture="mistral", kind="strictly alternating", objective="dpo"),
    Case(architecture="mistral", kind="plain, metaspace always", objective="orpo"),
    Case(architecture="gemma2", kind="without system turns", objective="orpo"),
    Case(architecture="gemma3", kind="bos by template", objective="dpo"),
    Case(architecture="gemma3_vision", kind="bos by template", objective="orpo"),
    Case(architecture="phi3", kind="eos behind the end", objective="dpo", quantization="nf4"),
    Case(architecture="gpt2", kind="plain, eos is bos (GPT-2)", objective="orpo"),
    Case(architecture="gpt2", kind="plain, eos only", objective="dpo"),
    Case(architecture="qwen2", kind="ChatML base", objective="dpo"),
    Case(architecture="qwen2", kind="tools", objective="orpo", quantization="nf4"),
    Case(
        architecture="qwen3",
        kind="thoughts",
        objective="dpo",
        model="chat_template_kwargs = { enable_thinking = false }",
    ),
    Case(architecture="qwen3", kind="ChatML, eos ends a turn", objective="orpo", model='adapter = "sft"'),
    Case(architecture="qwen3", kind="plain, with pad", objective="dpo", quantization="nf4"),
    Case(architecture="qwen3_moe", kind="an end that is no token", objective="dpo"),
    Case(architecture="qwen3_moe", kind="tools", objective="dpo", quantization="nf4"),
    Case(architecture="mixtral", kind="bos by post-processor alone", objective="orpo"),
    Case(architecture="llama", kind="plain, a blank of its own", objective="dpo"),
    Case(architecture="llama", kind="a blank of its own (Llama 2)", objective="orpo"),
    Case(architecture="mistral", kind="a blank of its own if there is none", objective="dpo"),
    Case(architecture="phi3", kind="white space taken off (Phi-3)", objective="orpo"),
    Case(architecture="phi3", kind="white space taken off, byte-level", objective="dpo"),
    Case(architecture="qwen2", kind="white space taken off before the end", objective="dpo"),
    Case(architecture="qwen2", kind="characters composed (Qwen)", objective="orpo"),
)
WITHOUT_SYSTEM = ("bos by template", "strictly alternating", "without system turns")
WITHOUT_BOS = (
    "plain, eos only",
    "plain, eos is bos (GPT-2)",
    "plain, with pad",
    "ChatML base",
    "ChatML, eos ends a turn",
    "thoughts",
    "tools",
    "an end that is no token",
    "white space taken off, byte-level",
    "white space taken off before the end",
    "characters composed (Qwen)",
)

STUDY = """
name = "{name}"
[model]
path = "model"
{model}
[recipe]
objective = "{objective}"
quantization = "{quantization}"
learning_rate = 1e-3
effective_batch = {batch}
max_length = 256
lora_rank = 4
lora_alpha = 8
lora_dropout = 0.0
mixture = "even"
[data.sources]
{sources}
[data.manifests.even]
{weights}
[prompts]
file = "prompts.jsonl"
[scorer]
kind = "rules"
rules = "rules.toml"
[target]
category = "lists"
[probe]
steps = 2
seeds = [1, 2]
samples = 2
max_new_tokens = 24
temperature = 3.0
[harvest]
prompts = 2
samples = 2
[lanes.hyperparameters]
learning_rate = true
[policy]
wave = 2
confirming_seeds = 2
holdout_seeds = 0
disguised = 0.0
must_see = 10.0
[budget]
disk_gb = 0
[runner]
kind = "resident"
workers = 1
"""
RULES = '[[rule]]\nname = "short"\nweight = 1\nkind = "words"\nlow = 4\nhigh = 8\n'
ADD = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}},
}
Row = dict[str, Any]


def user(text: str) -> Row:
    return {"role": "user", "content": text}


def said(text: str) -> Row:
    return {"role": "assistant", "content": text}


def call(number: int) -> Row:
    return {
        "role": "assistant",
        "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"x": number}}}],
    }


def sources(kind: str) -> dict[str, list[Row]]:
    """Rows of the forms that a tokenizer takes, a source each."""
    found: dict[str, list[Row]] = {}
    for number in range(3):
        question, right, wrong = f"What is two plus {number}?", f"It is {number + 2}.", "It is blue.\nI think."
        turns = {"chosen": [said(right)], "rejected": [said(wrong)]}
        before = [user(f"Hello, {number}"), said("How can I help?")]
        rows: dict[str, Row] = {"texts": {"prompt": f"Text {number}: what?", "chosen": right, "rejected": wrong}}
        if not kind.startswith("plain"):
            rows["turns"] = {"prompt": [user(question)], **turns}
            rows["several"] = {"prompt": [*before, user(f"Then {question}")], **turns}
            rows["whole"] = {
                "chosen": [*before, user("And so?"), said(right)],
                "rejected": [*before, user("And so?"), said(wrong)],
            }
        if not kind.startswith("plain") and kind not in WITHOUT_SYSTEM:
            rows["system"] = {"prompt": [{"role": "system", "content": "Be brief."}, user(question)], **turns}
            rows["column"] = {"system": "Be careful.", "prompt": question, "chosen": right, "rejected": wrong}
        if kind == "tools":
            rows["calls"] = {"prompt": [user(question)], "chosen": [call(number)], "rejected": [said(wrong)]}
            rows["calls"]["tools"] = [ADD]
            result = {"role": "tool", "name": "add", "content": str(number + 2)}
            rows["results"] = {"prompt": [user(question), call(number), result], **turns, "tools": [ADD]}
        for form, row in rows.items():
            found.setdefault(form, []).append(row)
    return found


def prompts(kind: str) -> list[Row]:
    found: list[Row] = []
    for split in ("probe", "harvest", "holdout"):
        for category in simulated_study.CATEGORIES:
            for number in range(2):
                text = f"Say {category} {number} for {split}."
                row: Row = {"id": f"{split}-{category}-{number}", "split": split, "category": category, "prompt": text}
                if not kind.startswith("plain") and number:
                    row["prompt"] = [user(f"Hello {split}."), said("Are you sure?"), user(text)]
                    if kind not in WITHOUT_SYSTEM:
                        row["system"] = "Be brief."
                found.append(row)
    return found


def write_study(folder: Path, case: Case) -> Study:
    """With a model whose embedding has more rows than the tokenizer has tokens, as those of many models have."""
    tokenizer = KINDS[case.kind]()
    architectures.write(case.architecture, folder / "model", tokenizer, vocab_size=len(tokenizer) // 64 * 64 + 64)
    if "adapter" in case.model:
        write_adapter(folder)
    rows = sources(case.kind)
    for form, own in rows.items():
        simulated_study.write_jsonl(folder / f"{form}.jsonl", own)
    simulated_study.write_jsonl(folder / "prompts.jsonl", prompts(case.kind))
    (folder / "rules.toml").write_text(RULES, encoding="utf-8")
    text = STUDY.format(
        name=case.architecture,
        model=case.model,
        objective=case.objective,
        quantization=case.quantization,
        batch=max(2, len(rows)),
        sources="\n".join(f'{form} = "{form}.jsonl"' for form in rows),
        weights="\n".join(f"{form} = 1.0" for form in rows),
    )
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.toml")


def write_adapter(folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    base = load_base(ModelSettings(path="model"), folder, "none", "cpu")
    torch.manual_seed(1)
    config = LoraConfig(task_type="CAUSAL_LM", r=3, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    get_peft_model(base.model, config).save_pretrained(folder / "sft")


def nightlane(*arguments: object) -> str:
    """What a command printed that ended well, in a process of its own."""
    done = commands.nightlane(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_architecture_and_every_kind_of_tokenizer_has_a_session() -> None:
    assert {case.architecture for case in CASES} == set(architectures.NAMES)
    assert {case.kind for case in CASES} == set(KINDS)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=pytest.mark.long if case == CHEAP else pytest.mark.architectures)
        for case in CASES
    ],
)
def test_a_session_decides_on_what_was_trained_and_asked_as_it_is_meant(tmp_path: Path, case: Case) -> None:
    study = write_study(tmp_path, case)
    asking = load_renderer(study.file.model, tmp_path)
    check_shown(nightlane("check", study.path, "--workspace", tmp_path, "--show", 1), case, asking)
    nightlane("run", study.path, "--workspace", tmp_path, "--decisions", 2)
    check_results(tmp_path / "results.tsv")
    check_questions(study, asking)
    runs = tmp_path / "runs"
    probes = [path.parent for path in runs.glob("probe-*/outcome.json")]
    assert len(probes) >= 4, "two of the baseline, and one of each candidate"
    for probe in probes:
        check_probe(probe, study, asking)
    texts = [row["text"] for probe in probes for row in ProbeStore(runs).answers(probe.name.removeprefix("probe-"))]
    assert sum(map(bool, texts)) > len(texts) / 2
    special = special_texts(asking)
    assert not [text for text in texts if any(token in text for token in special)]


def check_shown(told: str, case: Case, asking: Renderer) -> None:
    """The first row of each form is asked and trained with one BOS, where the tokenizer or its template writes one."""
    bos = asking.tokenizer.bos_token
    lines = [line for line in told.splitlines() if line.split(" ")[0] in ("asked", "chosen", "rejected")]
    assert len(lines) == 3 * len(sources(case.kind))
    assert {line.count(bos) if bos else 0 for line in lines if line.startswith("asked")} == {
        0 if case.kind in WITHOUT_BOS else 1
    }
    for line in lines:
        asked, _, answer = line.partition("⟦")
        assert line.startswith("asked") or answer.endswith("⟧")
        assert case.kind in WITHOUT_BOS or (asked.split()[1].startswith(bos) and bos not in answer), line


def check_results(path: Path) -> None:
    table = read_results(path)
    assert next(iter(table["status"])) == "BASELINE"
    assert len(table) == 3
    assert set(table["status"][1:]) <= {"KEEP", "DISCARD"}, table[["status", "reason", "description"]].to_dict()
    assert table[["target", "overall"]][:1].map(math.isfinite).all(axis=None)
    assert table[["delta", "ci_low", "ci_high"]][1:].map(math.isfinite).all(axis=None)


def check_questions(study: Study, asking: Renderer) -> None:
    """A row that has a prompt of the study is trained behind the very ids that the prompt is asked with."""
    for prompt in study.material.all_prompts:
        row = asking.row(TrainingRow(prompt.asked, answer(prompt, "Four."), answer(prompt, "Five."), "s", 1))
        assert row.prompt == list(asking.question(prompt.asked).ids)


def answer(prompt: Prompt, text: str) -> Turns:
    return (Turn("assistant", text),) if prompt.turns else text


def check_probe(folder: Path, study: Study, asking: Renderer) -> None:
    runs, name = folder.parent, folder.name.removeprefix("probe-")
    reading = ProbeStore(runs).read(name)
    assert isinstance(reading, Reading), reading
    assert f"rendered={rendered_digest(asking, study.material.all_prompts)}" in reading.key.environment.split(" ")
    assert all(math.isfinite(score.value) for score in reading.scores)
    assert not reading.missing
    curve = [json.loads(line) for line in (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in curve] == list(range(1, study.file.probe.steps + 1))
    assert all(isinstance(value, int | float) and math.isfinite(value) for line in curve for value in line.values())
    assert all(line["grad_norm"] > 0 for line in curve), "it learns"
    samples = range(study.file.probe.samples)
    asked = {(prompt.id, sample) for prompt in study.material.prompts_of("probe") for sample in samples}
    answers = ProbeStore(runs).answers(name)
    assert len(answers) == len(asked)
    assert {(row["prompt"], row["sample"]) for row in answers} == asked


def special_texts(asking: Renderer) -> set[str]:
    """What no answer holds, whether the tokenizer has a name for it or not."""
    added = asking.tokenizer.added_tokens_decoder.values()
    return {str(token) for token in added if token.special}
