"""What cannot be trained as it is meant is found before the night, refused or left out as the study says."""

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tokenizers_of_all_kinds import CHATML, HEADERS, KINDS, TOOLS, chatml

from agent.study.load import Study, load_study, reload_study
from agent.study.material_check import CheckedStudy, check_study
from common.errors import BadInput
from probes.inputs.prompts import Prompt
from probes.inputs.settings import FIXED_DATE, ModelSettings
from probes.model.load import load_renderer
from probes.rendering.renderer import Renderer
from probes.rendering.row_check import rendered_digest, token_lines
from testing import simulated_study
from view.terminal.rendered_rows import rendered_text, rows_text, unchecked_text

STUDY = """
name = "held"
[model]
path = "model"
{model}
[recipe]
effective_batch = 4
max_length = {length}
lora_rank = 4
lora_alpha = 8
mixture = "even"
[data]
bad_rows = "{bad}"
[data.sources]
good = "good.jsonl"
[data.manifests.even]
good = 1.0
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
max_new_tokens = 8
[lanes.hyperparameters]
learning_rate = true
[budget]
decisions = 1
[runner]
kind = "resident"
"""
RULES = '[[rule]]\nname = "short"\nweight = 1\nkind = "words"\nlow = 1\nhigh = 90\n'
LONG = {"prompt": "What is two plus two? " * 60, "chosen": "It is four.", "rejected": "It is five."}
TOLD = {
    "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two?"}],
    "chosen": [{"role": "assistant", "content": "4"}],
    "rejected": [{"role": "assistant", "content": "5"}],
}


def row(number: int) -> dict[str, Any]:
    return {"prompt": f"What is {number} plus two?", "chosen": f"It is {number + 2}.", "rejected": "It is five."}


def written(folder: Path, kind: str, rows: list[dict[str, Any]], bad: str = "refuse", **given: Any) -> Study:
    """A study of a random model with a tokenizer of this kind."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = KINDS[kind]()
    if not (folder / "model").exists():
        torch.manual_seed(0)
        config = Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=4096,
        )
        Qwen3ForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    prompts = [
        {
            "id": f"{split}-{category}-{n}",
            "split": split,
            "category": category,
            "difficulty": 1,
            "prompt": f"Say {category} {n} for {split}.",
        }
        for split in ("probe", "harvest", "holdout")
        for category in simulated_study.CATEGORIES
        for n in range(2)
    ]
    simulated_study.write_jsonl(folder / "prompts.jsonl", prompts)
    simulated_study.write_jsonl(folder / "good.jsonl", rows)
    (folder / "rules.toml").write_text(RULES, encoding="utf-8")
    text = STUDY.format(bad=bad, **{"model": "", "length": 256, **given})
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.toml")


def left_out(study: Study) -> dict[str, list[int]]:
    return {
        name: [row.line for row in source.bad] for name, source in study.material.read_sources.items() if source.bad
    }


def check_written(study: Study, **given: Any) -> CheckedStudy:
    return check_study(study, lambda note: None, **given)


def test_rows_are_counted_as_they_are_rendered(tmp_path: Path) -> None:
    cut = {**row(7), "chosen": "It is four. " * 60}
    found = check_written(written(tmp_path, "ChatML base", [row(1), row(2), cut, LONG], "leave_out"))
    counts = found.counts["good"]
    assert (counts.rows, counts.cut, counts.no_room, counts.endless, len(counts.refused)) == (4, 1, 1, 0, 1)
    assert counts.longest > found.shortest == 256
    told = rendered_text(found)
    assert "| good   |    4 |   1 |       1 |       1 |" in told
    assert "Answers end at '<|endoftext|>' or '<|im_end|>'." in told


@pytest.mark.parametrize(
    ("kind", "bad", "why"),
    [
        ("ChatML base", LONG, r"its prompt of \d+ tokens leaves no room for an answer in max_length=256; raise max_l"),
        ("without system turns", TOLD, r"the chat template refuses it \(System role not supported\)"),
        ("plain, eos only", TOLD, "is a conversation and the tokenizer has no chat template"),
    ],
)
def test_a_row_that_cannot_be_trained_is_refused_by_its_line_or_left_out(
    tmp_path: Path, kind: str, bad: dict[str, Any], why: str
) -> None:
    rows = [row(1), bad, row(2)]
    with pytest.raises(BadInput, match=rf"good\.jsonl, line 2.*{why}.*or set bad_rows = \"leave_out\" under \[data\]"):
        check_written(written(tmp_path, kind, rows))
    found = check_written(written(tmp_path, kind, rows, "leave_out"))
    assert left_out(found.study) == {"good": [2]}
    assert [pair.line for pair in found.study.material.sources["good"]] == [1, 3]
    (told,) = found.study.material.left_out
    assert told.startswith("source good: 1 of 3 rows left out (line 2: ")


def test_a_key_that_the_template_never_reads_and_a_second_bos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has 'enable_thinkin', which the chat template never reads; did you mean"):
        check_written(
            written(tmp_path, "thoughts", [row(1)], model="chat_template_kwargs = { enable_thinkin = false }")
        )
    (tmp_path / "twice.jinja").write_text("{{ bos_token }}" + HEADERS, encoding="utf-8")
    study = written(tmp_path, "bos by both", [row(1)], model='chat_template = "twice.jinja"')
    with pytest.raises(BadInput, match=r"prompts\.jsonl, line 1: .* the BOS '<.*>' is written twice at the beginning"):
        check_written(study)


def test_no_row_that_can_be_trained_is_refused_either_way(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no row of .*good\.jsonl is good"):
        _ = check_written(written(tmp_path, "ChatML base", [LONG], "leave_out")).study.material.sources


def test_a_row_that_was_mended_meanwhile_stays_out_and_the_data_are_what_they_were(tmp_path: Path) -> None:
    broken = {**row(3), "chosen": None}
    began = check_written(written(tmp_path, "ChatML base", [row(1), LONG, broken], "leave_out")).study
    key = began.material.key("machine")
    assert left_out(began) == {"good": [2, 3]}
    before = {"good": began.material.read_sources["good"].gaps}
    simulated_study.write_jsonl(tmp_path / "good.jsonl", [row(1), row(2), row(3)])
    os.utime(tmp_path / "good.jsonl", (1, 1))
    assert began.material.key("machine") == key, "while the session runs"
    fresh = load_study(tmp_path / "study.toml")
    assert check_written(fresh).study.material.key("machine") != key
    again = check_written(fresh, gaps_before=before).study
    assert again.material.key("machine") == key
    assert left_out(again) == {"good": [2, 3]}
    (tmp_path / "study.toml").write_text(f"{again.text}\n# later\n", encoding="utf-8")
    assert reload_study(again).material.key("machine") == key
    simulated_study.write_jsonl(tmp_path / "good.jsonl", [row(9), row(2), row(3)])
    assert check_written(fresh, gaps_before=before).study.material.key("machine") != key, "another row was changed"


@pytest.mark.parametrize(
    "later",
    [
        [row(1), row(5), row(5), row(6)],
        [row(1), row(2), row(5), row(5), row(6)],
        [row(1), row(2), row(5), row(5), row(6), row(7), row(8)],
        [row(1), LONG, row(2), row(3), row(5), row(5), row(6), {}],
    ],
    ids=["removed", "mended and removed", "at the end", "parted"],
)
def test_lines_that_came_or_went_where_a_row_was_left_out_change_nothing(
    tmp_path: Path, later: list[dict[str, Any]]
) -> None:
    began = check_written(
        written(tmp_path, "ChatML base", [row(1), LONG, {}, row(5), row(5), row(6), {}], "leave_out")
    ).study
    before, key = {"good": began.material.read_sources["good"].gaps}, began.material.key("machine")
    fresh = written(tmp_path, "ChatML base", later, "leave_out")
    assert check_written(fresh, gaps_before=before).study.material.key("machine") == key
    for other in ([row(1), row(5), row(6)], [row(1), row(5), row(5), row(9), row(6)], [row(1)]):
        again = check_written(written(tmp_path, "ChatML base", other, "leave_out"), gaps_before=before).study
        assert again.material.key("machine") != key


def test_a_refusal_counts_each_bad_row_once(tmp_path: Path) -> None:
    study = written(tmp_path, "ChatML base", [LONG, {}], "leave_out")
    with pytest.raises(BadInput, match=r"line 1: .*; 1 more row is bad; no row of .*good\.jsonl is good"):
        _ = check_written(study, gaps_before={"good": [(0, "")]}).study.material.sources


def test_a_prompt_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    study = written(tmp_path, "without system turns", [row(1)])
    rows = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    for one in rows:
        one["prompt"] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": one["prompt"]}]
    simulated_study.write_jsonl(tmp_path / "prompts.jsonl", rows)
    with pytest.raises(
        BadInput,
        match=r"prompts.jsonl, line 1: the prompt 'probe-arithmetic-0' cannot be asked: the chat template .*; write",
    ):
        check_written(load_study(study.path))


def test_the_digest_of_the_questions_follows_what_changes_them(tmp_path: Path) -> None:
    def digest(**given: str) -> str:
        study = written(tmp_path, "thoughts", [row(1)], **given)
        return rendered_digest(load_renderer(study.file.model, tmp_path), study.material.all_prompts)

    assert digest() == digest()
    assert (
        len(
            {
                digest(),
                digest(model="chat_template_kwargs = { enable_thinking = false }"),
                digest(model='chat = "never"'),
            }
        )
        == 3
    )


def test_a_date_that_only_rows_have_is_in_the_digest(tmp_path: Path) -> None:
    """The template for tools shows the date, and no prompt of the study has tools."""
    dated = {"default": CHATML, "tool_use": "{{ strftime_now('%d %b %Y') }}" + TOOLS}

    def digest(templates: Any = dated, **settings: Any) -> str:
        tokenizer = chatml(eos_token="<|im_end|>")
        tokenizer.chat_template = templates
        renderer = Renderer(tokenizer, ModelSettings(path="none", **settings))
        return rendered_digest(renderer, [Prompt("p", "probe", "lists", 1, "Say two.", {})])

    later = {"date": datetime.date(2026, 5, 6)}
    assert digest() != digest(**later)
    assert digest() == digest(date=FIXED_DATE) == digest(CHATML) == digest(CHATML, **later)
    assert digest() == "eaeba6f46794"  # keys of studies with the default date stay as they are


def test_rows_whose_template_writes_no_end_are_counted(tmp_path: Path) -> None:
    (tmp_path / "endless.jinja").write_text(CHATML.replace("<|im_end|>\n", ""), encoding="utf-8")
    model = 'chat_template = "endless.jinja"'
    found = check_written(written(tmp_path, "ChatML base", [row(1), row(2)], model=model))
    assert found.counts["good"].endless == 2
    assert "| good   |    2 |   0 |       0 |       0 |              2 |" in rendered_text(found)
    assert check_written(written(tmp_path, "ChatML base", [row(1), row(2)])).counts["good"].endless == 0


def test_rows_are_shown_token_by_token_with_what_is_in_the_loss(tmp_path: Path) -> None:
    found = check_written(written(tmp_path, "bos by both", [row(1)]))
    assert found.renderer is not None
    asked, chosen, _ = token_lines(found.renderer, found.study.material.sources["good"][0], 256)
    assert asked.count("<|begin_of_text|>") == 1
    question, _, loss = chosen.partition("⟦")
    assert question.split(" ", 1)[1].strip() == asked.split(" ", 1)[1].strip()
    assert loss.endswith("<|eot_id|>⟧")
    assert chosen in rows_text(found, 1)


def test_what_is_cut_at_max_length_is_shown_outside_of_the_loss(tmp_path: Path) -> None:
    found = check_written(written(tmp_path, "ChatML base", [{**row(1), "chosen": "It is four. " * 60}]))
    told = rows_text(found, 1)
    (chosen,) = (line for line in told.split("\n") if line.startswith("chosen"))
    kept, _, cut = chosen.partition("⟧ cut at max_length=256, ")
    assert "<|im_end|>" in cut
    assert "<|im_end|>" not in kept.partition("⟦")[2]
    assert "cut at" not in told.partition("rejected")[2]
    assert "A row that is cut loses its end." in rendered_text(found)


def test_a_model_that_was_not_looked_at_is_said_first(tmp_path: Path) -> None:
    study = written(tmp_path, "ChatML base", [row(1)])
    assert unchecked_text(CheckedStudy(study)).startswith("Rows and prompts were not rendered")
    assert not rendered_text(CheckedStudy(study))
    assert not unchecked_text(check_written(study))


def test_the_counts_are_of_all_rows_of_the_file(tmp_path: Path) -> None:
    unreadable = {"prompt": "What?", "chosen": "", "rejected": "no"}
    found = check_written(written(tmp_path, "ChatML base", [row(1), unreadable, LONG], "leave_out"))
    assert "| good   |    3 |   0 |       1 |       2 |" in rendered_text(found)
    (told,) = found.study.material.left_out
    assert told.startswith("source good: 2 of 3 rows left out")
    assert "is cut" not in rendered_text(found)


@pytest.mark.parametrize("kind", ["plain, metaspace", "without system turns", "ChatML base"])
def test_each_blank_of_a_row_is_shown(tmp_path: Path, kind: str) -> None:
    found = check_written(written(tmp_path, kind, [row(1)]))
    assert found.renderer is not None
    asked, chosen, _ = (
        line.replace("|", "") for line in token_lines(found.renderer, found.study.material.sources["good"][0], 256)
    )
    assert "What is 1 plus two?" in asked
    assert "It is 3." in chosen
