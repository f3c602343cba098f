"""Prompts with turns: read, compared by what is asked, harvested as conversations."""

import json
from pathlib import Path
from typing import Any

import pytest
from row_cases import CASES

from common.errors import BadInput
from probes.inputs.prompts import Prompt, check_splits, load_prompts
from probes.inputs.rows.turns import Turn
from probes.inputs.training_rows import ReservedPrompts

SYSTEM = "You are a careful helper of a small shop that sells tea, and you answer in one short sentence."


def prompt(name: str, split: str, asked: Any) -> dict[str, Any]:
    return {"id": name, "split": split, "category": "say", "prompt": asked}


def talk(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def read(folder: Path, *rows: dict[str, Any]) -> tuple[Prompt, ...]:
    (folder / "prompts.json").write_text(json.dumps(rows), encoding="utf-8")
    return load_prompts(folder / "prompts.json")


def test_a_prompt_with_turns_is_asked_as_turns_and_read_as_a_text() -> None:
    (found,) = load_prompts(CASES / "prompts_conv.jsonl")
    assert found.asked == found.turns == (Turn("system", "Be brief."), Turn("user", "Hi"))
    assert found.text == "system: Be brief.\n\nuser: Hi"
    assert found.wording == "Hi"


def test_a_plain_prompt_is_its_text_and_one_turn_reads_like_it(tmp_path: Path) -> None:
    (plain,) = read(tmp_path, prompt("a", "probe", "Hi"))
    assert (plain.asked, plain.text, plain.turns) == ("Hi", "Hi", ())
    (spoken,) = read(tmp_path, prompt("a", "probe", talk(("user", "Hi"))))
    assert (spoken.asked, spoken.text) == ((Turn("user", "Hi"),), "Hi")


def test_a_system_column_is_asked_and_tools_are_refused(tmp_path: Path) -> None:
    (found,) = read(tmp_path, prompt("a", "probe", "Hi") | {"system": "Be brief."})
    assert found.asked == (Turn("system", "Be brief."), Turn("user", "Hi"))
    with pytest.raises(BadInput, match="row 1 has tools, and no prompt is asked with tools"):
        read(tmp_path, prompt("a", "probe", "Hi") | {"tools": [{"name": "f"}]})


@pytest.mark.parametrize(
    "more",
    [
        {"instruction": "Do it"},
        {"input": "tea"},
        {"question": "What?"},
        {"chat_template_kwargs": {"x": 1}},
        {"system_prompt": "Be brief."},
        {"messages": talk(("user", "Other"))},
    ],
)
def test_a_column_that_would_change_what_is_asked_is_refused_by_name(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=f"row 1 has the column '{next(iter(more))}', which"):
        read(tmp_path, prompt("a", "probe", "Hi") | more)
    assert read(tmp_path, prompt("a", "probe", "Hi") | dict.fromkeys(more, "") | {"checks": None})[0].asked == "Hi"


def test_where_one_prompt_has_turns_all_have(tmp_path: Path) -> None:
    found = read(tmp_path, prompt("a", "probe", "Hi"), prompt("b", "harvest", talk(("system", "x"), ("user", "Ho"))))
    assert found[0].asked == (Turn("user", "Hi"),)
    assert found[0].text == "Hi"


def test_prompts_that_share_a_system_turn_are_told_apart_by_what_is_asked(tmp_path: Path) -> None:
    rows = [("a", "probe", "How warm should the water be?"), ("b", "harvest", "Which tea keeps me awake at night?")]
    found = read(tmp_path, *(prompt(n, split, talk(("system", SYSTEM), ("user", text))) for n, split, text in rows))
    check_splits(tmp_path, found)
    reserved = ReservedPrompts(found)
    assert reserved.overlap(found[1].asked) is None
    assert reserved.overlap("how warm should the water be") is not None
    assert reserved.overlap((Turn("system", "Other."), *found[0].turns[1:])) is not None


def test_a_conversation_that_is_a_probe_prompt_is_found_whole(tmp_path: Path) -> None:
    turns = talk(("user", "Hello"), ("assistant", "Yes?"), ("user", "Why?"))
    found = read(tmp_path, prompt("a", "probe", turns))
    reserved = ReservedPrompts(found)
    assert reserved.overlap(found[0].asked) is not None
    assert reserved.overlap((Turn("user", "Why?"),)) is None


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (talk(("user", "Hi"), ("assistant", "Yes")), "row 1: the prompt ends with the assistant's turn"),
        (talk(("system", "Hi")), "row 1: the prompt ends with the system's turn"),
        (talk(("user", " ")), "row 1 has an empty turn of the user"),
        ([], "row 1 has no text .or list of turns with role and content. in 'prompt'"),
        ("", "row 1 has no text in 'prompt'"),
        (None, "row 1 has no text"),
    ],
)
def test_a_prompt_that_asks_nothing_is_refused(tmp_path: Path, asked: Any, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read(tmp_path, prompt("a", "probe", asked))
