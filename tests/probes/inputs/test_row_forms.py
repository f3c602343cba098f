"""What a row means in each form, and which rows are refused because they would mean something else than they say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from probes.inputs.rows.texts import Texts, difficulty_of, texts_of
from probes.inputs.rows.turns import Turn, messages

S, U, A, T = "system", "user", "assistant", "tool"


def talk(*turns: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


def turns(*found: tuple[str, str]) -> tuple[Turn, ...]:
    return tuple(Turn(*turn) for turn in found)


def row(prompt: Any, chosen: Any, rejected: Any, **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **more}


YES, NO = (A, "yes"), (A, "no")
ASKED = (U, "is it?")
SIMPLE = Texts(turns(ASKED), (turns(YES), turns(NO)))
BRIEF = Texts(turns((S, "brief"), ASKED), SIMPLE.sides)
FIRST = (ASKED, (A, "what?"), (U, "that"))
LATER = Texts(turns(*FIRST), SIMPLE.sides)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (row("is it?", "yes", "no"), Texts("is it?", ("yes", "no"))),
        (row("is it?", talk(YES), talk(NO)), SIMPLE),
        (row(talk(ASKED), "yes", "no"), SIMPLE),
        (row(talk(ASKED)[0], talk(YES)[0], "no"), SIMPLE),
        (row("is it?", talk(ASKED, YES), talk(ASKED, NO)), SIMPLE),
        (row("is it? ", talk(ASKED, YES), talk(NO)), Texts(turns((U, "is it? ")), SIMPLE.sides)),
        (row(talk(ASKED), talk(ASKED, YES), talk(ASKED, NO)), SIMPLE),
        (row("is it?", talk((S, "brief"), ASKED, YES), talk((S, "brief"), ASKED, NO)), BRIEF),
        (row(talk((S, "brief"), ASKED), talk(ASKED, YES), talk(ASKED, NO)), BRIEF),
        (row("is it?", "yes", "no", system="brief"), BRIEF),
        (row(talk((S, "brief"), ASKED), "yes", "no", system="brief"), BRIEF),
        (row("is it?", talk(*FIRST, YES), talk(*FIRST, NO)), LATER),
        (row(None, talk(*FIRST, YES), talk(*FIRST, NO)), LATER),
        (row(None, talk(ASKED, YES), talk(ASKED, NO), system="brief"), BRIEF),
        (
            row(
                "is it?",
                "yes",
                "no",
                instruction=None,
                input="",
                history=[],
                context="is it?",
                rating=3,
                Score=2,
                INPUT=" ",
            ),
            Texts("is it?", ("yes", "no")),
        ),
        (
            row(None, talk(ASKED, (A, "one"), (T, "1"), YES), talk(ASKED, (A, "one"), (T, "2"), NO)),
            Texts(turns(ASKED), (turns((A, "one"), (T, "1"), YES), turns((A, "one"), (T, "2"), NO))),
        ),
        (
            {
                "conversations": [{"from": "system", "value": "brief"}, {"from": "human", "value": "is it?"}],
                "chosen": {"from": "gpt", "value": "yes"},
                "rejected": {"from": "gpt", "value": "no"},
            },
            BRIEF,
        ),
        (row("is it?", "yes", "no", tools=[{"name": "f"}]), Texts(SIMPLE.prompt, SIMPLE.sides, '[{"name":"f"}]')),
        (row("is it?", "yes", "no", tools='[{"b": 1, "a": 2}]'), Texts(SIMPLE.prompt, SIMPLE.sides, '[{"b":1,"a":2}]')),
        (row("is it?", "yes", "no", tools=[]), Texts("is it?", ("yes", "no"))),
        (row("is it?", "is it? yes", "no"), Texts("is it?", ("is it? yes", "no"))),
        (row("Hi", "His answer", "Hi there"), Texts("Hi", ("His answer", "Hi there"))),
        (row("", talk(ASKED, YES), talk(ASKED, NO)), SIMPLE),
        (row(" ", talk(ASKED, YES), talk(ASKED, NO)), SIMPLE),
        (row("is it?", "yes", "no", messages=talk(ASKED, YES), conversations=[]), Texts("is it?", ("yes", "no"))),
        (
            row(
                talk(ASKED), "yes", "no", system="brief", messages=talk(ASKED), conversations=talk((S, "brief"), ASKED)
            ),
            BRIEF,
        ),
    ],
)
def test_every_form_of_a_row_says_the_same(given: dict[str, Any], found: Texts) -> None:
    assert texts_of(given) == found


def talked(**changes: Any) -> dict[str, Any]:
    return row(talk(ASKED), [{"role": A, "content": "yes", **changes}], talk(NO))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (row("other", talk(ASKED, YES), talk(ASKED, NO)), "chosen begins with the user's turn, and not with the turns"),
        (row("is it?", talk(ASKED, YES), talk((S, "x"), ASKED, NO)), "chosen and rejected begin differently"),
        (row(talk((S, "a"), ASKED), talk((S, "b"), ASKED, YES), "no"), "not with the turns of the prompt"),
        (row("is it?", talk(ASKED, YES), talk(ASKED)), "rejected ends where the prompt does and holds no answer"),
        (row("is it?", talk(ASKED, YES, (U, "so?"), NO), talk(ASKED, NO)), "would be trained on"),
        (row("is it?", talk(YES, (S, "x")), talk(NO)), "chosen has the system's turn after the assistant's"),
        (row("is it?", talk((T, "4"), YES), talk(NO)), "chosen begins with the tool's turn"),
        (row(talk(ASKED, (S, "brief")), "yes", "no"), "the prompt ends with the system's turn"),
        (row(talk((T, "4"), ASKED), "yes", "no"), "the prompt begins with the tool's turn"),
        (row(talk((A, "hi"), ASKED), "yes", "no"), "the prompt begins with the assistant's turn"),
        (
            row(talk(ASKED, (S, "brief"), ASKED), "yes", "no"),
            "has a system's turn after another speaker's; put it first",
        ),
        (
            row(None, talk(ASKED, ("bot", "yes")), talk(ASKED, NO)),
            "a turn with role='bot' in 'chosen'; use one of system",
        ),
        (row("is it?", talk(("bot", "yes")), talk(NO)), "a turn with role='bot' in 'chosen'; use one of system"),
        (row(talk((A, "hi")), "yes", "no"), "the prompt ends with the assistant's turn"),
        (row(talk(("bot", "hi"), ASKED), "yes", "no"), "a turn with role='bot' in 'prompt'; use one of system,"),
        (row(talk((U, " ")), "yes", "no"), "an empty turn of the user in 'prompt'"),
        (row(" \n", "yes", "no"), "no text in 'prompt', which is empty"),
        (row(None, "yes", "no"), "no text in 'prompt', which is empty"),
        (row("is it?", None, "no"), "in 'chosen', which is empty; write one, or leave the row out"),
        (row(None, talk(YES), talk(NO)), "have no common beginning before an assistant's turn"),
        (row(None, talk(ASKED, YES), talk(ASKED)), "have no common beginning before an assistant's turn"),
        (row(None, talk(ASKED, YES), talk(ASKED, YES)), "the same text"),
        (row(None, talk(ASKED, YES), "no"), "where the prompt ends in a plain text is not guessed"),
        (row(talk((S, "a"), ASKED), "yes", "no", system="b"), "another system turn in its conversation"),
        (row("is it?", "yes", "no", system=3), "'system' that is no text"),
        (row("is it?", "yes", "no", images=["x.png"]), "the column 'images'.*leave the row out"),
        (row("is it?", "yes", "no", history=[["a", "b"]]), "the column 'history'"),
        (row("is it?", "yes", "no", system_prompt="x"), "the column 'system_prompt', .*; rename the column to system"),
        (row("is it?", "yes", "no", system_message="x"), "the column 'system_message'"),
        (row("is it?", "yes", "no", System="brief"), "the column 'System', and only 'system' is read; rename it"),
        (row("is it?", "yes", "no", Tools=[{"name": "f"}]), "the column 'Tools', and only 'tools' is read; rename it"),
        ({"Prompt": "is it?", "Chosen": "yes", "Rejected": "no"}, "the column 'Prompt', and only 'prompt' is read"),
        (row("is it?", "yes", "no", Instruction="Be a pirate"), "the column 'Instruction', which would change what"),
        (row("is it?", "yes", "no", **{"System Prompt": "brief"}), "the column 'System Prompt', .*; rename the column"),
        *(
            (row("is it?", "yes", "no", **{name: "x"}), f"the column '{name}', which would change what the row says")
            for name in ("Input", "functions", "instructions", "inputs", "passage", "document", "sys", "persona")
        ),
        (row("is it?", "yes", "no", image_url="x"), "the column 'image_url'.*leave the row out"),
        (
            row("is it?", "yes", "no", conversations=talk((U, "other"))),
            "the column 'conversations', which says somethin",
        ),
        (row("is it?", "yes", "no", messages=talk((S, "brief"), ASKED)), "the column 'messages', which says something"),
        (row("is it?", "yes", "no", messages=["a"]), "the column 'messages', which says something else than its promp"),
        (row("is it?", "yes", "no", tools="[{"), "tools that are no list of JSON schemas"),
        (row("is it?", "yes", "no", tools={"name": "f"}), "tools that are no list of JSON schemas"),
        (row(str(talk(ASKED)), "yes", "no"), "'prompt' a conversation that is written as a text"),
        (row("is it?", json.dumps(talk(ASKED, YES)), "no"), "'chosen' a conversation that is written as a text"),
        (row("is it?", str(talk(YES)[0]), "no"), "'chosen' a conversation that is written as a text"),
        (row("is it?", [], "no"), "no text .or list of turns with role and content. in 'chosen'"),
        (row("is it?", ["yes"], "no"), "no text .or list of turns with role and content. in 'chosen'"),
        (talked(weight=1), "the key 'weight' in 'chosen', and nightlane keeps role, content, tool_calls"),
        (talked(content=None), "a turn of the assistant whose content is empty in 'chosen'"),
        (talked(content=[{"type": "text", "text": "yes"}]), "whose content is a list in 'chosen'; a turn holds one"),
        (talked(role=None), "a turn without a role in 'chosen'"),
        (talked(name=3), "a turn whose name is a number in 'chosen'"),
        (talked(tool_calls=[{"function": {}}]), "tool_calls in 'chosen' that are no list of calls"),
        (talked(tool_calls="add"), "tool_calls in 'chosen' that are no list of calls"),
        *(
            (
                talked(tool_calls=[{"name": "f", "arguments": given}]),
                "calls the tool 'f' in 'chosen' with arguments that a",
            )
            for given in ("", "[1]", "{x}", '{"a": NaN}', '{"a": "\\ud800"}', ["x"])
        ),
        (row([talk(ASKED)[0] | {"tool_calls": [{"name": "f"}]}], "yes", "no"), "only the assistant calls tools"),
        ({"prompt": "p", "chosen": "c"}, "no column 'rejected'; a row needs prompt, chosen and rejected"),
        ({"completion": "p", "score": 1}, "no column 'chosen'"),
    ],
)
def test_a_row_that_would_mean_something_else_is_refused_in_a_sentence(given: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why) as refused:
        texts_of(given)
    assert "\n" not in str(refused.value)


def test_what_looks_a_little_like_a_conversation_is_a_text() -> None:
    for text in ('{"role": "admin"}', "[1, 2]", "{'from': 'here'}", "[{x}] 'role': 'user'", 'f({"role": "user"})'):
        assert texts_of(row("p", text, "no")).sides[0] == text


def test_a_turn_keeps_what_the_assistant_calls_in_the_order_of_the_file() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": {"b": 1, "a": "é"}}}
    given = {"role": A, "name": "x", "content": None, "tool_calls": [call], "reasoning_content": "so", "weight": None}
    chosen = texts_of(row("p", [given], "no")).sides[0]
    kept = {"role": A, "content": "", "tool_calls": [call], "name": "x", "reasoning_content": "so"}
    assert json.dumps(messages(chosen, A)) == json.dumps([kept])


def test_arguments_that_are_written_as_a_json_text_become_an_object() -> None:
    for call in ({"function": {"name": "f", "arguments": '{"b": 1, "a": {}}'}}, {"name": "f", "arguments": '{"b": 1}'}):
        given = {"role": A, "content": "", "tool_calls": [{"id": "1", **call}]}
        (turn,) = (turn for turn in texts_of(row("p", [given], "no")).sides[0] if isinstance(turn, Turn))
        (found,) = turn.message["tool_calls"]
        assert found["id"] == "1"
        assert found.get("function", found)["arguments"]["b"] == 1


def test_an_answer_alone_needs_its_prompt() -> None:
    assert texts_of({"prompt": "p", "completion": "c"}, ("completion",)) == Texts("p", ("c",))
    whole = {"prompt": "is it?", "completion": talk(ASKED, YES)}
    assert texts_of(whole, ("completion",)) == Texts(turns(ASKED), (turns(YES),))
    for alone in ({"completion": talk(ASKED, YES)}, {"completion": "c"}):
        with pytest.raises(BadInput, match="no column 'prompt'; a row needs prompt and completion"):
            texts_of(alone, ("completion",))


@pytest.mark.parametrize(("given", "found"), [(None, 1), ("", 1), (2.0, 2), (0, 0), ("3", 3), (-1, -1), ("2.0", 2)])
def test_a_difficulty_is_a_whole_number(given: object, found: int) -> None:
    assert difficulty_of({"difficulty": given}) == found


@pytest.mark.parametrize("given", ["hard", "2.5", 2.5, True, [], float("inf"), "1e3", "9" * 5000, 10**400])
def test_another_difficulty_is_refused(given: object) -> None:
    with pytest.raises(BadInput, match=r"it has difficulty=.{1,60}; write a whole number of at most 15 digits$"):
        difficulty_of({"difficulty": given})


ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "bot"])
TURNS = st.lists(st.tuples(ROLES, st.sampled_from(["a", "b", ""])), max_size=4).map(lambda found: talk(*found))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "tool_calls", "name", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(prompt=TURNS | st.sampled_from(["a", "b", None]) | JSON, chosen=TURNS | JSON, rejected=TURNS | JSON, more=JSON)
def test_any_row_is_trained_on_as_the_laws_say_or_refused(prompt: Any, chosen: Any, rejected: Any, more: Any) -> None:
    try:
        found = texts_of(row(prompt, chosen, rejected, system=more, tools=more))
    except BadInput:
        return
    texts = [found.prompt, *found.sides]
    assert len({isinstance(text, str) for text in texts}) == 1
    assert found.sides[0] != found.sides[1]
    if isinstance(found.prompt, str):
        return
    assert found.prompt[-1].role in ("user", "tool")
    for side in found.sides:
        assert not isinstance(side, str)
        assert side[0].role == "assistant"
        assert {turn.role for turn in side} <= {"assistant", "tool"}


@given(beginning=TURNS, first=TURNS, second=TURNS)
def test_with_and_without_a_prompt_column_whole_conversations_are_the_same_row(
    beginning: list[Any], first: list[Any], second: list[Any]
) -> None:
    asked = [*talk((U, "a")), *beginning, *talk((U, "b"))]
    one, other = ([*asked, *talk((A, name)), *rest] for name, rest in (("yes", first), ("no", second)))
    answers = [found[len(asked) :] for found in (one, other)]
    forms = [row(asked, one, other), row(None, one, other), row(asked, *answers)]
    found: list[Texts | None] = []
    for form in forms:
        try:
            found.append(texts_of(form))
        except BadInput:
            found.append(None)
    assert found[0] == found[1] == found[2]
