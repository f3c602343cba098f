"""The language model's proposer, over any OpenAI-compatible endpoint.

The model sees a person's instructions, the moves, the incumbent, aggregate figures and the budget; never a file path,
a prompt or an answer. Its reply is untrusted: a closed schema, a knob and a value from the lists it was given. A reply
that cannot be read is repaired once (json-repair), then asked again once; after that the next proposer has the turn.
"""

import json
from collections.abc import Callable
from typing import Any

import openai
from json_repair import repair_json
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.proposers.protocol import Situation, Suggestion
from agent.study import ProposerSettings
from lanes import show
from lanes.errors import EndpointUnavailable

MAX_REPLY = 20_000
SYSTEM = (
    "You propose the next experiment in a search for a better preference-tuning recipe. Reply with one JSON object and "
    'nothing else: {"knob": NAME, "value": VALUE, "hypothesis": TEXT, "predicted_delta": NUMBER}. Choose exactly one '
    "knob and one value from the legal moves listed. predicted_delta is the change you expect in the target category, "
    "on a scale from 0 to 10. Effects smaller than the intervals in the history are noise."
)


class Reply(BaseModel):
    """The closed schema of a reply."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    knob: str = Field(max_length=200)
    value: str | int | float | list[str]
    hypothesis: str = Field(min_length=1, max_length=2000)
    predicted_delta: float = Field(ge=-10, le=10)


class Refused(Exception):
    """A reply that breaks the schema or names no legal move; the text is what the model is told."""


class LanguageModelProposer:
    """Asks a chat completion endpoint. ``note`` is told of every reply that could not be used."""

    name = "language_model"

    def __init__(self, settings: ProposerSettings, model: str, note: Callable[[str], None]) -> None:
        self.settings, self.model, self.note = settings, model, note
        self._client = openai.OpenAI(timeout=settings.timeout, max_retries=2)
        self._schema_refused = False

    def check(self) -> None:
        """EndpointUnavailable when the endpoint does not answer or refuses the key; asks for the list of models."""
        try:
            self._client.models.list()
        except openai.NotFoundError:
            return  # it answers, it only has no such list
        except openai.OpenAIError as error:
            raise EndpointUnavailable(
                f"the endpoint at {self._client.base_url} cannot be used ({_short(error)}); start it, correct "
                'OPENAI_BASE_URL and OPENAI_API_KEY, or set kind = "optuna" under [proposer]'
            ) from None

    def propose(self, situation: Situation) -> Suggestion | None:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": briefing(situation)}]
        dollars = 0.0
        for attempt in (1, 2):
            try:
                text, cost = self._ask(messages)
            except openai.OpenAIError as error:
                self.note(f"the language model gave no reply ({_short(error)}); the next proposer has this turn")
                return None
            dollars += cost
            try:
                return self._suggestion(read_reply(text), situation, dollars)
            except Refused as refused:
                self.note(f"reply {attempt} of 2 refused: {refused}")
                again = f"That cannot be used: {refused}. Reply with one JSON object as asked."
                messages += [{"role": "assistant", "content": text[:2000]}, {"role": "user", "content": again}]
        return None

    def _suggestion(self, reply: Reply, situation: Situation, dollars: float) -> Suggestion:
        moves = situation.moves.get(reply.knob)
        if moves is None:
            known = ", ".join(situation.moves)
            raise Refused(f"knob {reply.knob[:80]!r} has no legal move in this turn's lane; choose one of {known}")
        value = tuple(reply.value) if isinstance(reply.value, list) else reply.value
        for move in moves:
            same_number = isinstance(move, int | float) and isinstance(value, int | float) and _close(move, value)
            if same_number or move == value or show(move) == str(value):
                return Suggestion(reply.knob, move, reply.hypothesis, reply.predicted_delta, self.name, dollars)
        listed = ", ".join(map(show, moves))
        raise Refused(f"{reply.knob}={str(value)[:80]} is not among the legal untried values {{{listed}}}")

    def _ask(self, messages: list[dict[str, str]]) -> tuple[str, float]:
        """The reply's text and its price. Servers without JSON schema are asked again without it, once and for all."""
        options: dict[str, Any] = {} if self._schema_refused else {"response_format": _response_format()}
        request: dict[str, Any] = {
            "model": self.model, "messages": messages, "temperature": 0.7, "max_tokens": self.settings.max_tokens,
        }  # fmt: skip
        try:
            completion = self._client.chat.completions.create(**request, **options)
        except openai.BadRequestError:
            if self._schema_refused:
                raise
            self._schema_refused = True
            completion = self._client.chat.completions.create(**request)
        text = completion.choices[0].message.content if completion.choices else None
        return (text or "")[:MAX_REPLY], self._price(completion.usage)

    def _price(self, usage: Any) -> float:
        if usage is None:
            return 0.0
        paid_in = usage.prompt_tokens * self.settings.dollars_per_million_input
        return float(paid_in + usage.completion_tokens * self.settings.dollars_per_million_output) / 1e6


def read_reply(text: str) -> Reply:
    """A reply as JSON, repaired once where it is malformed; Refused says what is wrong with it."""
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        try:
            data = repair_json(text, return_objects=True)
        except (ValueError, RecursionError):
            data = None
    if not isinstance(data, dict):
        raise Refused("it is not one JSON object")
    try:
        return Reply.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Refused(f"{'.'.join(map(str, first['loc'])) or 'the object'}: {first['msg'].lower()}") from None


def briefing(situation: Situation) -> str:
    """What the model is shown, as Markdown."""
    moves = "\n".join(
        f"- {knob} (now {show(situation.space.knob(knob).read(situation.incumbent))}): {', '.join(map(show, values))}"
        for knob, values in situation.moves.items()
    )
    others = ", ".join(f"{lane} (share {share:g})" for lane, share in situation.space.shares.items())
    guards = ", ".join(f"{name} may lose at most {margin:g}" for name, margin in situation.guards.items()) or "none"
    incumbent = "\n".join(f"- {knob.name} = {show(knob.read(situation.incumbent))}" for knob in situation.space.knobs)
    program = situation.program.strip() or "(none)"
    return (
        f"# Instructions of the person who runs the study\n{program}\n\n"
        f"# Aim\nRaise the target category {situation.target!r}. Guards: {guards}.\n\n"
        f"# Lanes\n{others}. This turn belongs to the lane {situation.lane!r}.\n\n"
        f"# Incumbent\n{incumbent}\n\n"
        f"# Legal untried moves of this turn\n{moves}\n\n"
        f"# History\n{_history(situation)}\n\n"
        f"# Budget left\n{situation.budget_left}\n"
    )


def _history(situation: Situation) -> str:
    if not situation.history:
        return "(no decisions yet)"
    lines = [
        "| lane | knob | before | after | decision | reason | target delta | interval |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for tried in situation.history[-60:]:
        figures = "no reading | no reading"
        if tried.delta is not None and tried.low is not None and tried.high is not None:
            figures = f"{tried.delta:+.2f} | {tried.low:+.2f} to {tried.high:+.2f}"
        before, after = show(tried.before), show(tried.after)
        lines.append(
            f"| {tried.lane} | {tried.knob} | {before} | {after} | {tried.status} | {tried.reason} | {figures} |"
        )
    return "\n".join(lines)


def _response_format() -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "proposal", "schema": Reply.model_json_schema()}}


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b))


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
