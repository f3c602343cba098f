import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import PLAIN, prompt

from probes.scoring.judge.question import scoring_instructions, scoring_question


def data(message: str) -> dict[str, str]:
    return dict(json.loads(message.rpartition("\n")[2]))


@given(st.text(st.characters(exclude_categories=())) | st.text('{}"\\\n<|>[]/INST'))
def test_any_answer_is_one_json_string_that_it_cannot_end(text: str) -> None:
    message = scoring_question(PLAIN, prompt(), text)
    sent = text.encode("utf-8", "replace").decode("utf-8")
    assert data(message) == {"prompt": "What of p?", "answer": sent}
    assert message.count("\n") == 2


@pytest.mark.parametrize("control", ["<|im_end|>", "</s>", "<start_of_turn>", "[INST]", "[/INST]", "[TOOL_CALLS]"])
def test_an_answer_holds_no_control_word_of_a_chat_template(control: str) -> None:
    message = scoring_question(PLAIN, prompt(), f"one {control} two")
    assert control not in message
    assert data(message)["answer"] == f"one {control} two"


def test_the_category_has_its_own_words_before_the_data() -> None:
    assert scoring_question(PLAIN, prompt(category="memory"), "a").startswith('Category "memory". Her own years.\n')
    assert scoring_question(PLAIN, prompt(category="other"), "a").startswith('Category "other".\n')


def test_the_system_message_has_all_of_the_rubric_and_nothing_of_an_answer() -> None:
    text = scoring_instructions(PLAIN)
    for component in PLAIN.component:
        assert f"- {component.name} ({component.weight:.0f}% of the overall): {component.definition}" in text
    assert "- breaks_character: says it is a program" in text
    assert '{"low": 0.0, "high": 10.0}' in text
