import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import situations
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.proposers.llm import LanguageModelProposer
from agent.proposers.prompt import briefing
from agent.proposers.protocol import Declined, Situation, Suggestion
from agent.proposers.reply import RefusedReply, Reply, chosen_move, read_reply
from agent.study.load import load_study
from agent.study.schema import ProposerSettings
from common.errors import EndpointUnavailable
from lanes import show
from probes.endpoint import client
from testing import simulated_study
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

SITUATION = situations.situation()
MOVE = {"knob": "beta", "value": 0.15}
GOOD = {"move": MOVE, "hypothesis": "more contrast", "predicted_delta": 0.4}
NOWHERE = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": MODEL}  # the discard port: nobody listens


def good(**changes: Any) -> str:
    """A reply with these changes; knob and value are those of the move."""
    move = MOVE | {name: changes.pop(name) for name in MOVE if name in changes}
    return json.dumps({**GOOD, "move": move, **changes})


class Asked:
    """A proposer at a scripted endpoint, with what it noted."""

    def __init__(self, endpoint: ScriptedEndpoint, settings: Mapping[str, Any]) -> None:
        self.endpoint, self.notes = endpoint, list[str]()
        self.proposer = proposer(endpoint.environment, self.notes, settings)

    def propose(self, situation: Situation = SITUATION) -> Suggestion | Declined:
        return self.proposer.propose(situation)


def free(answer: Suggestion | Declined) -> Suggestion | Declined:
    """The answer without the tokens that it took."""
    assert answer.prompt_tokens > 0
    return replace(answer, prompt_tokens=0, completion_tokens=0)


def cost_of_declined(answer: Suggestion | Declined) -> float:
    """Of a turn without a suggestion that says why."""
    assert isinstance(answer, Declined)
    assert answer.why
    return answer.dollars


def proposer(
    environment: Mapping[str, str], notes: list[str] | None = None, settings: Mapping[str, Any] | None = None
) -> LanguageModelProposer:
    noted = notes if notes is not None else []
    return LanguageModelProposer(ProposerSettings(**(settings or {})), MODEL, noted.append, environment)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.001)


@pytest.fixture
def opened() -> Iterator[Any]:
    """opened(reply, ..., endpoint options, settings={}) -> Asked; a plain text is a reply's content."""
    endpoints: list[ScriptedEndpoint] = []

    def open_at(*replies: Any, settings: Mapping[str, Any] | None = None, **options: Any) -> Asked:
        script = [reply if isinstance(reply, dict) else {"content": reply} for reply in replies]
        endpoints.append(ScriptedEndpoint(script, **options).__enter__())
        return Asked(endpoints[-1], settings or {})

    yield open_at
    for endpoint in endpoints:
        endpoint.__exit__(None, None, None)


# replies that can be used


@pytest.mark.parametrize(
    "text",
    [
        good(),
        f"```json\n{good()}\n```",
        f"Here is my proposal:\n\n{good()}\n\nIt should help.",
        f"<think>beta {{maybe}} {good(knob='lora_rank')}</think>\n{good()}",
        good()[:-1] + ",}",
        good().replace('"', "'"),
        good()[:-1],
        good(value="0.15"),
        good(value="1.5e-1"),
        good(value=0.1500000001),
    ],
    ids=["json", "fenced", "prose", "thought", "comma", "quotes", "unclosed", "text", "exponent", "ninth digit"],
)
def test_a_reply_is_read_at_the_first_attempt_and_names_the_ladders_own_value(opened: Any, text: str) -> None:
    asked = opened(text)
    assert free(asked.propose()) == Suggestion("beta", 0.15, "more contrast", 0.4, "language_model", 0.0)
    assert asked.notes == []
    assert len(asked.endpoint.requests) == 1


def test_names_and_whole_numbers_are_moves_too(opened: Any) -> None:
    asked = opened(good(knob="scheduler", value="linear"), good(knob="lora_rank", value=32.0))
    assert asked.propose().value == "linear"
    rank = asked.propose().value
    assert (rank, type(rank)) == (32, int)


def test_a_hypothesis_becomes_one_printable_line(opened: Any) -> None:
    asked = opened(good(hypothesis="first\n\tsecond\x1b[31m \u2028 third\x00"))
    assert asked.propose().hypothesis == "first second [31m third"


# replies that cannot, each answered with what is wrong and asked again once

REFUSED = {
    "prose alone": ("I would raise beta.", "it is not one JSON object"),
    "empty": ("", "it is empty"),
    "out of range": (good(value=70.0), "beta=70.0 is not among the legal values {0.05, 0.15, 0.2}"),
    "off the ladder": (good(value=0.123), "beta=0.123 is not among"),
    "the incumbent's own": (good(value=0.1), "beta=0.1 is not among"),
    "of another type": (good(value=["q_proj"]), "is not among"),
    "huge": (good(value=10**400), "is not among"),
    "unknown knob": (good(knob="alpha"), "knob 'alpha' has no legal move in this turn's lane; choose one of"),
    "another lane's": (good(knob="curriculum", value="easy_first"), "knob 'curriculum' has no legal move"),
    "a path": (good(knob="../../etc/passwd"), "has no legal move"),
    "two objects": (f"[{good()}, {good(knob='lora_rank', value=32)}]", "it is not one JSON object"),
    "one after the other": (f"{good()}\n{good(knob='lora_rank', value=32)}", "more than once"),
    "broken twins": (f"{good()[:-1]},}} then {good(knob='lora_rank')}", "it gives 'move' more than once"),
    "an extra knob": (good(learning_rate=0.001), "learning_rate: extra inputs are not permitted"),
    "mutations": (json.dumps({"mutations": [GOOD, GOOD]}), "move: field required"),
    "a move without an object": (json.dumps({**GOOD, **MOVE, "move": "beta"}), "move: input should be"),
    "a metric": (good(measured_delta=3), "measured_delta: extra inputs"),
    "no hypothesis": (good(hypothesis=" \n"), "hypothesis: it is empty"),
    "a missing key": (json.dumps({"move": MOVE}), "hypothesis: field required"),
    "nan": (good(predicted_delta=float("nan")), "NaN is not a JSON number"),
    "infinity": (good(value=float("inf")), "Infinity is not a JSON number"),
    "overflow": (good().replace("0.4", "1e999"), "predicted_delta"),
    "repaired nan": (good(predicted_delta=float("nan"))[:-1], "NaN is not a JSON number"),
    "half a character": (good(hypothesis="\ud800"), "hypothesis: input should be a valid string"),
    "too sure": (good(predicted_delta=11), "predicted_delta: input should be less than or equal to 10"),
    "truth": (good(predicted_delta=True), "predicted_delta: input should be a valid number"),
    "true for 1": (good(knob="weight.good", value=True), "value"),
    "duplicate keys": (good()[:-1] + ', "move": {}}', "it gives 'move' more than once"),
    "deep nesting": ("[" * 100_000, "it is 100000 characters long"),
    "deep enough": ("[" * 9_000, "it is not one JSON object"),
    "deep objects": ('{"knob":' * 2_000, "more than once"),
    "10 MB": ("x" * 10_000_000, "it is 10000000 characters long and at most 20000 are read"),
    "padded": (good() + " " * 30_000 + "x", "characters long"),
    "a list": (json.dumps(["beta", 0.15]), "it is not one JSON object"),
    "null": ("null", "it is not one JSON object"),
}


@pytest.mark.parametrize(("text", "why"), REFUSED.values(), ids=REFUSED)
def test_a_refused_reply_is_asked_again_once_and_told_why(opened: Any, text: str, why: str) -> None:
    asked = opened(text, good())
    assert free(asked.propose()) == Suggestion("beta", 0.15, "more contrast", 0.4, "language_model", 0.0)
    assert len(asked.notes) == 1
    assert asked.notes[0].startswith("reply 1 of 2 refused: ")
    assert why in asked.notes[0]
    assert asked.notes[0].endswith("; asking again")
    assert len(asked.notes[0]) < 500
    again = asked.endpoint.requests[1]["messages"]
    assert [message["role"] for message in again] == ["system", "user", "assistant", "user"]
    assert why in again[3]["content"]
    assert 0 < len(again[2]["content"]) <= 2000


def test_control_characters_of_a_reply_reach_no_note(opened: Any) -> None:
    asked = opened(good(knob="be\nta\x1b[2J\ud800"), good(value="1\n\x1b[2J2"))
    assert cost_of_declined(asked.propose()) == 0.0
    assert all(note.isprintable() for note in asked.notes)


def test_a_value_that_was_tried_is_refused_and_asked_again(opened: Any) -> None:
    history = [situations.tried(situations.start(), "beta", 0.15, 5.0, SITUATION.space)]
    asked = opened(good(value=0.15), good(value=0.2))
    assert asked.propose(situations.situation(history=history)).value == 0.2
    assert "beta=0.15 is not among the legal values {0.05, 0.2}" in asked.notes[0]


def test_a_reply_that_was_cut_off_is_never_completed_by_guessing(opened: Any) -> None:
    """Repair would close the object after the 0.1 of a 0.15."""
    short = {
        "content": '{"hypothesis": "h", "predicted_delta": 1, "move": {"knob": "beta", "value": 0.2',
        "finish_reason": "length",
    }
    asked = opened(short, good())
    assert asked.propose().value == 0.15
    assert "it was cut off at max_tokens=1024 (raise it under [proposer])" in asked.notes[0]


def test_after_a_second_refusal_the_next_proposer_has_the_turn(opened: Any) -> None:
    asked = opened("no", "no", good())
    assert cost_of_declined(asked.propose()) == 0.0
    assert len(asked.endpoint.requests) == 2
    assert asked.notes[1] == ("reply 2 of 2 refused: it is not one JSON object; the wave is made without it")


# what it costs


def test_dollars_and_tokens_are_those_of_the_usage_of_every_reply(opened: Any) -> None:
    """The scripted endpoint counts words as tokens."""
    prices = {"dollars_per_million_input": 3.0, "dollars_per_million_output": 15.0}
    asked = opened("no", good(), "no", "no", settings=prices)
    suggestion, declined = asked.propose(), asked.propose()
    words_in = [sum(len(m["content"].split()) for m in request["messages"]) for request in asked.endpoint.requests]
    assert suggestion.dollars == pytest.approx((sum(words_in[:2]) * 3 + (1 + len(good().split())) * 15) / 1e6)
    assert isinstance(declined, Declined)
    assert declined.dollars == pytest.approx((sum(words_in[2:]) * 3 + 2 * 15) / 1e6)
    tokens = [(one.prompt_tokens, one.completion_tokens) for one in (suggestion, declined)]
    assert tokens == [(sum(words_in[:2]), 1 + len(good().split())), (sum(words_in[2:]), 2)]


def test_a_server_that_states_no_usage_is_free(opened: Any) -> None:
    bare = {"choices": [{"index": 0, "message": {"role": "assistant", "content": good()}, "finish_reason": "stop"}]}
    raw = {"raw": json.dumps(bare), "headers": {"Content-Type": "application/json"}}
    odd = {"raw": json.dumps({**bare, "usage": {"prompt_tokens": None, "completion_tokens": "many"}})}
    asked = opened(raw, {**odd, "headers": raw["headers"]}, settings={"dollars_per_million_input": 9.0})
    assert [asked.propose().dollars, asked.propose().dollars] == [0.0, 0.0]


# endpoints that fail


@pytest.mark.parametrize("first", [{"status": 429}, {"status": 500}, {"close": True}])
def test_the_clients_own_retries_get_over_a_passing_failure(opened: Any, first: dict[str, Any]) -> None:
    asked = opened(first, good())
    assert asked.propose().value == 0.15
    assert asked.notes == []


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ({"status": 429}, "RateLimitError"),
        ({"status": 503}, "503"),
        ({"status": 401}, "AuthenticationError"),
        ({"status": 404}, "NotFoundError"),
        ({"status": 400}, "BadRequestError"),
        ({"raw": "<html>a proxy's page</html>"}, "what it sent is no chat completion"),
        ({"raw": "not json", "headers": {"Content-Type": "application/json"}}, "JSONDecodeError"),
        ({"raw": "null", "headers": {"Content-Type": "application/json"}}, "no chat completion"),
        ({"raw": '{"choices": []}', "headers": {"Content-Type": "application/json"}}, "no chat completion"),
        ({"raw": '{"choices": [{}]}', "headers": {"Content-Type": "application/json"}}, "is null"),
        (
            {"raw": '{"choices": [{"message": {"content": [1]}}]}', "headers": {"Content-Type": "application/json"}},
            "the content of its message is no text",
        ),
        ({"content": "late", "delay": 5}, "it sent no reply within 0.2 s; raise timeout under [proposer]"),
    ],
)
def test_an_endpoint_that_fails_mid_session_costs_that_turn_only(opened: Any, reply: dict[str, Any], why: str) -> None:
    asked = opened(*[reply] * 4, good(), settings={"timeout": 0.2 if "delay" in reply else 60})
    assert cost_of_declined(asked.propose()) == 0.0
    assert len(asked.notes) == 1
    assert asked.notes[0].startswith("the language model gave no reply (")
    assert asked.notes[0].endswith("; the wave is made without it")
    asked.endpoint.replies[:] = asked.endpoint.replies[-1:] * 20
    assert asked.propose().value == 0.15


def test_nobody_listening_mid_session_costs_that_turn_only() -> None:
    notes: list[str] = []
    assert cost_of_declined(proposer(NOWHERE, notes).propose(SITUATION)) == 0.0
    assert "Connection refused" in notes[0]


@pytest.mark.parametrize(
    ("refuses", "requests"),
    [(["response_format"], 2), (["max_tokens", "temperature"], 3), (["response_format", "max_tokens"], 4)],
)
def test_a_server_that_refuses_a_parameter_is_asked_without_it_once_and_for_all(
    opened: Any, refuses: list[str], requests: int
) -> None:
    asked = opened(good(), good(value=0.2), refuses=refuses)
    assert asked.propose().value == 0.15
    assert len(asked.endpoint.requests) == requests
    assert asked.propose().value == 0.2
    assert len(asked.endpoint.requests) == requests + 1
    last = asked.endpoint.requests[-1]
    assert not set(refuses) & set(last)
    assert {"max_tokens", "max_completion_tokens"} & set(last)
    assert len(asked.notes) == ("response_format" in refuses)


@pytest.mark.parametrize("refusal", [400, 422, 500, 501])
def test_a_server_without_schemas_is_noted_once_and_costs_no_turn(opened: Any, refusal: int) -> None:
    replies = [good(), good(value=0.2), good()]
    asked = opened(*replies, refuses=["response_format"], refusal=refusal)
    assert [asked.propose().value for _ in replies] == [0.15, 0.2, 0.15]
    tried = [True, False] * (2 if refusal >= 500 else 1)  # the first 500 may be an outage that passed
    with_schema = ["response_format" in request for request in asked.endpoint.requests]
    assert with_schema == [*tried, *[False] * (len(with_schema) - len(tried))]
    assert len(asked.notes) == 1
    assert f"{refusal}" in asked.notes[0]
    assert asked.notes[0].startswith(f"{asked.endpoint.base_url}")
    assert asked.notes[0].endswith("and is asked without one from now on")


def test_the_schema_that_is_sent_holds_the_reply_to_a_legal_move(opened: Any) -> None:
    situation = situations.situation(lanes=situations.space({**situations.LANES, "hyperparameters": MANY_KINDS}))
    asked = opened(good())
    asked.propose(situation)
    schema = asked.endpoint.requests[0]["response_format"]["json_schema"]["schema"]
    assert closed(schema)
    assert set(schema["properties"]) == set(Reply.model_fields)
    allowed = schema["properties"]["move"]["anyOf"]
    assert all(map(closed, allowed))
    parts = [part["properties"] for part in allowed]
    assert [part["knob"]["const"] for part in parts] == list(situation.moves)
    for part in parts:
        knob, values = part["knob"]["const"], part["value"]["enum"]
        assert all(isinstance(value, str) == (part["value"]["type"] == "string") for value in values)
        replies = [read_reply(good(knob=knob, value=value)) for value in values]
        assert tuple(chosen_move(reply, situation.moves) for reply in replies) == situation.moves[knob]


@pytest.mark.long
def test_a_turn_takes_one_timeout_whatever_is_tried_in_it(opened: Any) -> None:
    late: dict[str, Any] = {"content": good(), "delay": 30}
    for script in ([late], [{"content": "no", "delay": 0.5}, late], [{"status": 503}, late]):
        asked = opened(*script, settings={"timeout": 2.0})
        began = time.monotonic()
        assert cost_of_declined(asked.propose()) == 0.0
        assert time.monotonic() - began < 20
        assert "it sent no reply within 2 s; raise timeout under [proposer]" in asked.notes[-1]


def closed(schema: Mapping[str, Any]) -> bool:
    return schema["additionalProperties"] is False and schema["required"] == list(schema["properties"])


MANY_KINDS = {
    "learning_rate": {"low": 1e-6, "high": 0.9, "factor": 2.0, "reach": 4},
    "lora_rank": True,
    "scheduler": True,
    "lora_targets": True,
}


# at the start of a session


def test_check_is_content_with_an_endpoint_that_lists_the_model(opened: Any) -> None:
    asked = opened()
    asked.proposer.check()
    assert asked.endpoint.requests == []


def test_check_asks_one_question_where_there_is_no_list(opened: Any) -> None:
    asked = opened("OK", lists_models=False)
    asked.proposer.check()
    assert len(asked.endpoint.requests) == 1


def test_a_model_that_is_not_served_is_told_with_those_that_are(opened: Any) -> None:
    asked = opened({"status": 404})
    wrong = LanguageModelProposer(ProposerSettings(), "gtp-5", print, asked.endpoint.environment)
    with pytest.raises(
        EndpointUnavailable, match=r"asked for 'gtp-5', NotFoundError.*; it lists the models scripted\)"
    ):
        wrong.check()


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        (NOWHERE, "Connection refused"),
        ({"OPENAI_BASE_URL": "127.0.0.1:9/v1"}, "unsupported protocol|missing an 'http"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:nine/v1"}, "[Pp]ort"),
        ({**NOWHERE, "OPENAI_API_KEY": "k\u00e9y"}, "UnicodeEncodeError"),
    ],
)
def test_an_endpoint_that_cannot_be_reached_is_one_sentence_with_the_remedy(
    environment: dict[str, str], why: str
) -> None:
    with pytest.raises(EndpointUnavailable, match=why) as unavailable:
        proposer(environment).check()
    text = str(unavailable.value)
    assert text.startswith(f"the endpoint at {environment['OPENAI_BASE_URL']}")
    assert text.endswith('or set kind = "optuna" under [proposer]')
    assert "\n" not in text
    assert unavailable.value.exit_code == 5


def test_a_refused_key_is_told_at_the_start_and_never_shown(opened: Any) -> None:
    asked = opened(key="right")
    environment = {**asked.endpoint.environment, "OPENAI_API_KEY": "sk-mine"}
    with pytest.raises(EndpointUnavailable, match=r"AuthenticationError.*correct OPENAI_BASE_URL") as unavailable:
        proposer(environment).check()
    assert "sk-mine" not in str(unavailable.value)


def test_an_error_that_repeats_the_key_or_the_password_is_told_without_them(opened: Any) -> None:
    asked = opened({"status": 404}, lists_models=False)
    host = asked.endpoint.base_url.partition("//")[2]
    environment = {"OPENAI_BASE_URL": f"http://me:secret@{host}", "OPENAI_API_KEY": "scripted error"}
    with pytest.raises(EndpointUnavailable) as unavailable:
        proposer(environment).check()
    text = str(unavailable.value)
    assert f"http://***@{host}" in text
    assert "*** 404" in text
    assert "secret" not in text


def test_a_page_that_is_no_api_is_refused_at_the_start(opened: Any) -> None:
    asked = opened({"raw": "<html></html>"}, lists_models=False)
    with pytest.raises(EndpointUnavailable, match="what it sent is no completion"):
        asked.proposer.check()


def test_a_local_server_needs_no_key(opened: Any) -> None:
    asked = opened(good())
    keyless = proposer({"OPENAI_BASE_URL": asked.endpoint.base_url})
    keyless.check()
    suggestion = keyless.propose(SITUATION)
    assert isinstance(suggestion, Suggestion)
    assert suggestion.knob == "beta"


# the briefing


def history() -> list[Any]:
    recipe, lanes = situations.start(), SITUATION.space
    return [
        situations.tried(recipe, "beta", 0.15, 6.25, lanes),
        situations.tried(recipe, "learning_rate", 2e-4, None, lanes),
    ]


def test_the_briefing_holds_instructions_lanes_moves_incumbent_history_and_budget() -> None:
    situation = situations.situation(history=history(), program="Prefer small moves of beta.\n")
    text = briefing(situation)
    assert "# Instructions of the person who runs the study\nPrefer small moves of beta.\n" in text
    assert "Raise the target category 'lists'. Guards: arithmetic may lose at most 1.5." in text
    assert "hyperparameters (share 2), mixture (share 1), curriculum (share 1)" in text
    assert "This turn belongs to the lane 'hyperparameters'." in text
    for name, values in situation.moves.items():
        now = show(situation.space.knob(name).read(situation.incumbent))
        assert f"- {name} (now {now}): {', '.join(map(show, values))}\n" in text
    for knob in situation.space.knobs:
        assert f"- {knob.name} = {show(knob.read(situation.incumbent))}\n" in text
    assert "| hyperparameters | beta | 0.1 | 0.15 | DISCARD | no_effect | +1.25 | +0.75 to +1.75 |" in text
    assert "# Budget left\n7 of 8 decisions, 3.00 of 8 hours\n" in text


def test_the_briefing_holds_the_notes_of_a_person_right_after_the_instructions() -> None:
    assert "Notes" not in briefing(SITUATION)
    shown = briefing(replace(SITUATION, notes=("beta is too low", "mind the guard")))
    heading = "# Notes of that person during this session, the latest last"
    assert f"\n\n{heading}\n- beta is too low\n- mind the guard\n\n# Aim\n" in shown


def test_a_crash_stands_in_the_history_without_a_figure() -> None:
    row = next(line for line in briefing(situations.situation(history=history())).splitlines() if "CRASH" in line)
    assert row == (
        "| hyperparameters | learning_rate | 0.0001 | 0.0002 | CRASH | crash:diverged | no reading | no reading |"
    )


def test_a_long_history_says_how_much_of_it_is_shown() -> None:
    recipe, lanes = situations.start(), SITUATION.space
    many = [situations.tried(recipe, "beta", 0.15, 5.0 + place / 100, lanes) for place in range(75)]
    text = briefing(situations.situation(history=many))
    assert "The last 60 of 75 decisions." in text
    assert text.count("| DISCARD |") == 60


def test_a_proposer_sees_no_path_no_prompt_and_no_answer(opened: Any, tmp_path: Path) -> None:
    path = simulated_study.write_study(tmp_path / "study")
    study = load_study(path)
    situation = situations.situation(lanes=study.lanes, incumbent=study.start, program=study.program)
    asked = opened(good(value=show(situation.moves["beta"][0])))
    assert isinstance(asked.propose(situation), Suggestion)
    sent = json.dumps(asked.endpoint.requests)
    folder = path.parent
    assert str(folder).startswith("/")
    for secret in (str(folder), str(tmp_path), ".jsonl", ".toml", str(Path.home()), "expected", "entry_point"):
        assert secret not in sent
    files = [(folder / f"{name}.jsonl").read_text(encoding="utf-8") for name in ("prompts", "good", "broken")]
    for row in (json.loads(line) for text in files for line in text.splitlines()):
        assert row["prompt"].strip() not in sent
        assert row.get("chosen", row["prompt"]) not in sent


# anything at all


def read_or_refused(text: str) -> str:
    """What read_reply makes of a text, in words; any exception but Refused is the test's failure."""
    try:
        return read_reply(text).hypothesis
    except RefusedReply as refused:
        return str(refused)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_is_a_reply_or_refused(text: str) -> None:
    assert read_or_refused(text).isprintable()


@settings(deadline=None)
@given(st.text('{}[]":,\\\'`/\n 0e-.naN"knobvalue', max_size=200))
def test_any_text_in_the_letters_of_json_is_a_reply_or_refused(text: str) -> None:
    assert read_or_refused(text).isprintable()


@settings(deadline=None)
@given(st.data())
def test_a_good_reply_with_some_characters_changed_is_a_legal_move_or_refused(data: st.DataObject) -> None:
    text = list(good())
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.text(max_size=3))
    assert read_or_refused("".join(text)).isprintable()
    try:
        reply = read_reply("".join(text))
        assert chosen_move(reply, SITUATION.moves) in SITUATION.moves[reply.move.knob]
    except RefusedReply:
        pass


ATOMS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)
TREES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*GOOD, "other"]), TREES))
def test_any_object_is_a_legal_move_or_refused(data: dict[str, Any]) -> None:
    try:
        reply = read_reply(json.dumps({**GOOD, **data}))
        assert chosen_move(reply, SITUATION.moves) in SITUATION.moves[reply.move.knob]
    except RefusedReply:
        pass
