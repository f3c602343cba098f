import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.scoring.judge.judgement import UnreadableJudgement
from probes.scoring.judge.preference import CHOICES, agreed_preference, read_preference
from probes.scoring.protocol import Missing


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(
    "text",
    [
        '{"note": "n", "preferred": "%s"}',
        'Well:\n```json\n{"preferred": "%s"}\n```',
        '{"note": "n" "preferred": "%s"}',
        '<think>{"preferred": "tie"}</think>{"preferred": "%s"}',
    ],
)
def test_a_choice_is_read_and_repaired(text: str, choice: str) -> None:
    assert read_preference(text % choice) == choice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "first",
        "{}",
        '{"preferred": "both"}',
        '{"preferred": 1}',
        '{"preferred": ["first"]}',
        "[]",
        "null",
        '{"preferred": "first", "preferred": "second"}',
        '{"preferred": "first" "preferred": "second"}',
        '{"preferred": "fir',
        '{"preferred": "first"' + " " * 30_000,
        "[" * 5000,
    ],
)
def test_what_is_no_choice_is_not_read(text: str) -> None:
    with pytest.raises(UnreadableJudgement):
        read_preference(text)


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_no_reply_makes_a_choice_that_it_does_not_state(text: str) -> None:
    try:
        found = read_preference(text)
    except UnreadableJudgement:
        return
    assert f'"{found}"' in text


def test_a_choice_counts_when_it_stays_in_both_orders() -> None:
    values = {(one, other): agreed_preference(one, other) for one in CHOICES for other in CHOICES}
    assert values.pop(("first", "second")) == 1
    assert values.pop(("second", "first")) == -1
    assert set(values.values()) == {0}
    assert agreed_preference("first", Missing("cut off")) == Missing("cut off")
    assert agreed_preference(Missing("cut off"), "second") == Missing("cut off")
