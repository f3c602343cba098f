"""The forms that people have as training sources."""

import json

import pytest
from row_cases import BAD, CALL, CASES, GOOD, LONG, TOOL, TOOLS

from common.errors import BadInput
from probes.inputs.rows.turns import Turn, messages
from probes.inputs.sources import load_source


def test_every_case_has_an_outcome() -> None:
    assert {path.name for path in CASES.iterdir()} == {*GOOD, *BAD, *LONG}


@pytest.mark.parametrize("name", GOOD)
def test_a_source_in_a_known_form_gives_its_pairs(name: str) -> None:
    pair = load_source("s", CASES / name)[0]
    assert (pair.prompt, pair.chosen, pair.rejected) == GOOD[name]
    assert pair.line == (2 if name.endswith(".csv") else 1)
    assert pair.difficulty == (2 if name == "difficulty_float.jsonl" else 1)
    assert (json.loads(pair.tools) if pair.tools else []) == ([TOOL] if name in TOOLS else [])


@pytest.mark.parametrize("name", BAD)
def test_a_source_that_would_not_say_what_it_means_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_source("s", CASES / name)
    assert BAD[name] in str(refused.value)


def test_a_turn_keeps_what_templates_read_as_the_file_has_it() -> None:
    prompt, *_ = GOOD["tools_history.jsonl"]
    asked, call, answer = (turn for turn in prompt if isinstance(turn, Turn))
    assert isinstance(asked, Turn)
    assert messages((call, answer), "user") == [
        {"role": "assistant", "content": "", **CALL},
        {"role": "tool", "content": "4", "name": "add"},
    ]


def test_a_long_file_is_read_whole() -> None:
    assert {name: len(load_source("s", CASES / name)) for name in LONG} == {
        "long.jsonl": 2,
        "rare_system_row.jsonl": 40,
    }
