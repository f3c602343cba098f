"""A client for any server with OpenAI's chat or text completions, on top of the openai package.

OPENAI_BASE_URL and OPENAI_API_KEY give its address and key; local servers need no key. A call and its retries take at
most one timeout. It is retried after a lost connection, 408, 409, 429 and 5xx, and without a schema if the server
cannot answer with one. Any other failure raises NoReply (no_reply.py). An Endpoint may be used from several threads.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import openai
from openai.types import Completion as TextCompletion
from openai.types.chat import ChatCompletion

from common.errors import EndpointUnavailable
from common.redaction import redacted_address
from common.wording import one_line
from probes.endpoint.dialects import CANNOT, ChatMessage, ChatRequest, Dialect, Refusal, dialects
from probes.endpoint.no_reply import (
    NoReply,
    is_passing,
    kind_of,
    reached,
    reported_error,
    retry_after,
    status_kind,
)
from probes.endpoint.retry import to_log
from probes.endpoint.spending import Usage

FILTERED = "I can't answer: the endpoint's content filter stopped the reply."
NO_KEY = "none"  # the client cannot be made without a key
START_SECONDS = 20.0  # a server that takes longer to list its models counts as down
FIRST_PAUSE = 0.5  # seconds before a call is repeated; each next pause is twice as long
FAILURES_WITH_SCHEMA = 2  # this many 500s for requests that succeed without the schema are no outage

_MESSAGE_TOKENS = 16  # more than a chat template adds to a message

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """How a model is asked. ``timeout``: seconds for a call with its retries, of which it has ``retries`` at most.
    Error messages end with ``late_remedy`` after a timeout, and with ``remedy`` if the endpoint cannot be used."""

    timeout: float = 60.0
    late_remedy: str = ""
    max_tokens: int = 1024
    temperature: float = 0.7
    dollars_per_million_input: float = 0.0
    dollars_per_million_output: float = 0.0
    remedy: str = ""
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's text, whether it was cut off at max_tokens, and its price. ``counted``: whether the server counted the
    tokens. ``schema_refused``: why the server gave it without the schema; "" if it had one, or none was asked for."""

    text: str
    cut_off: bool
    dollars: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    counted: bool = True
    schema_refused: str = ""

    @property
    def usage(self) -> Usage:
        return Usage(
            calls=1,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            dollars=self.dollars,
        )


class Endpoint:
    """One model at one endpoint. EndpointUnavailable for an invalid address."""

    def __init__(self, settings: EndpointSettings, model: str, environment: Mapping[str, str]) -> None:
        self.model, self._settings = model, settings
        self._key = environment.get("OPENAI_API_KEY") or NO_KEY
        url = environment.get("OPENAI_BASE_URL") or None
        try:
            self._client = openai.OpenAI(base_url=url, api_key=self._key, max_retries=0)
        except Exception as error:  # each parser has its own exception for an invalid address
            # The message may quote pieces of a password.
            why = type(error).__name__ if "@" in (url or "") else self._why(error)
            raise self._unavailable(redacted_address(url or ""), why) from None
        self._url = redacted_address(str(self._client.base_url))
        self._dialects, self._lock = dialects(settings.temperature, settings.max_tokens), threading.Lock()
        self._answered_with_schema, self._failures_with_schema = False, 0

    def check(self) -> None:
        """EndpointUnavailable unless the server lists the model or answers one short question."""
        try:
            self.ping()
        except NoReply as error:
            raise self.unavailable(error) from None

    def ping(self) -> None:
        """Like ``check``, but raises NoReply, whose kind says whether waiting helps."""
        if self.model in (listed := self._listed()):
            return
        try:
            self.ask([{"role": "user", "content": "Reply with OK."}], None)
        except NoReply as error:
            offered = f"; it lists the models {one_line(', '.join(listed), 200)}" if listed else ""
            why = f"asked for {self.model!r}, {error.why}{offered}"
            raise NoReply(why, error.kind, error.retry_after, remedy=error.remedy) from None

    def require_reachable(self) -> None:
        """NoReply if nobody answers, or the key is refused; within seconds, and without asking the model."""
        self._listed()

    def unavailable(self, error: NoReply) -> EndpointUnavailable:
        """The error for an endpoint that cannot be used, with the remedy of this failure."""
        return self._unavailable(self._url, error.why, error.remedy)

    @property
    def url(self) -> str:
        """Its address without a password."""
        return self._url

    def ask(
        self,
        messages: Sequence[ChatMessage],
        response_format: Mapping[str, Any] | None = None,
        seed: int | None = None,
        max_tokens: int | None = None,
        seconds: float | None = None,
        note: Callable[[str], None] = to_log,
    ) -> Completion:
        """The model's next message. NoReply for any failure of the server or the client.

        seed: for servers that sample reproducibly. max_tokens, seconds: instead of those of the settings. note: is told
        once if the server cannot answer with a schema.
        """
        more = {} if seed is None else {"seed": seed}
        asked = ChatRequest(messages, response_format, more, max_tokens, note)
        return self._call(lambda end: self._completion(asked, end), seconds)

    def complete(
        self, model: str, prompt: str | list[int], options: Mapping[str, Any], extra: Mapping[str, Any]
    ) -> Completion:
        """The continuation of ``prompt``, a text or token ids. NoReply for a failure or a reply of another model.

        options: of OpenAI's completions. extra: further options of the server.
        """

        def ask(end: float) -> Completion:
            completion: object = self._client.completions.create(
                model=model, prompt=prompt, extra_body=dict(extra), timeout=_left(end), **cast(Any, options)
            )
            if not isinstance(completion, TextCompletion) or not completion.choices or reported_error(completion):
                raise self._no_completion(completion)
            choice, text = completion.choices[0], cast(object, completion.choices[0].text)
            if not isinstance(text, str) or choice.finish_reason not in ("stop", "length"):
                raise NoReply(f"its completion was not finished ({choice.finish_reason})")
            if completion.model != model:
                raise NoReply(f"asked for {model!r}, {completion.model!r} answered")
            usage = completion.usage
            tokens_in, tokens_out = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
            dollars = self._price(tokens_in, tokens_out)
            return Completion(_sendable(text), choice.finish_reason == "length", dollars, tokens_in, tokens_out)

        return self._call(ask)

    def names(self) -> list[str]:
        """The names of its models; NoReply without the list."""
        return self._call(self._list_models, limit=self._quick, retries=0)

    def post(self, path: str, body: Mapping[str, Any]) -> str:
        """The response to a call outside of OpenAI's API; NoReply when it is refused."""
        given = dict(body)
        return self._call(
            lambda end: str(self._client.post(path, cast_to=str, body=given, options={"timeout": _left(end)}))
        )

    def close(self) -> None:
        """Close the open connections."""
        self._client.close()

    @property
    def _quick(self) -> float:
        """Seconds for calls that need no model."""
        return min(START_SECONDS, self._settings.timeout)

    def _call(
        self,
        call: Callable[[float], T],
        seconds: float | None = None,
        limit: float | None = None,
        retries: int | None = None,
    ) -> T:
        """The result of ``call``, whose argument is its deadline on the monotonic clock. It is retried while that may
        help and there is time; then any exception of the server or the client becomes a NoReply.

        limit, retries: replace the timeout and the retries of the settings. seconds: what is left of the limit.
        """
        limit = self._settings.timeout if limit is None else limit
        end, pause = time.monotonic() + (limit if seconds is None else seconds), FIRST_PAUSE
        left = self._settings.retries if retries is None else retries
        while True:
            try:
                return call(end)
            except NoReply:
                raise
            except json.JSONDecodeError:
                raise self._no_completion(None) from None
            except Exception as error:
                wait = max(pause, retry_after(error))
                if left == 0 or not is_passing(error) or time.monotonic() + wait >= end:
                    raise self._failure(error, limit) from None
            left, pause = left - 1, 2 * pause
            time.sleep(wait)

    def _failure(self, error: Exception, limit: float) -> NoReply:
        """``limit``: seconds that a reply may take."""
        status = error.status_code if isinstance(error, openai.APIStatusError) else 0
        kind = kind_of(error)
        why = f"it sent no reply within {limit:g} s" if kind == "late" else self._why(error)
        remedy = self._settings.late_remedy if kind == "late" and limit == self._settings.timeout else ""
        return NoReply(why, kind, retry_after(error), status, reached(error), remedy)

    def _list_models(self, end: float) -> list[str]:
        return [str(model.id) for model in self._client.models.list(timeout=_left(end)).data]

    def _listed(self) -> list[str]:
        """The names of its models; empty if the list is missing, refused to this key, or unreadable."""
        try:
            return self._list_models(time.monotonic() + self._quick)
        except (openai.APIConnectionError, openai.AuthenticationError) as error:
            raise self._failure(error, self._quick) from None
        except Exception:
            return []

    def _completion(self, asked: ChatRequest, end: float) -> Completion:
        """One completion in the first dialect that the server accepts."""
        refusal: Refusal | None = None
        for dialect in self._dialects:
            with_schema = dialect.schema and asked.response_format is not None
            try:
                completion: object = self._client.chat.completions.create(
                    model=self.model,
                    messages=cast(Any, asked.messages),
                    timeout=_left(end),
                    **asked.options(dialect),
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if refusal is None or refusal.may_pass:
                    refusal = Refusal.of(error, self._why(error))
                continue
            except openai.InternalServerError as error:
                if not with_schema or self._answered_with_schema or error.status_code not in CANNOT:
                    raise
                refusal = refusal or Refusal.of(error, self._why(error))
                continue
            self._answered_with_schema |= with_schema
            if asked.response_format is not None and refusal is not None:
                self._remember(dialect, refusal, asked.note)
            why = refusal.why if refusal and asked.response_format is not None and not with_schema else ""
            return replace(self._read(completion), schema_refused=why)
        raise NoReply(refusal.why if refusal else "no dialect is left to try", "refused")

    def _remember(self, accepted: Dialect, refusal: Refusal, note: Callable[[str], None]) -> None:
        """From now on, skip the dialects before the accepted one, unless they may have failed for another reason: the
        refusal names no option and the server has answered with a schema before, or it is the first 500."""
        with self._lock:
            self._failures_with_schema += refusal.may_pass
            passing = refusal.may_pass and self._failures_with_schema < FAILURES_WITH_SCHEMA
            known = self._answered_with_schema and not refusal.names_an_option
            if accepted not in self._dialects or passing or known:
                return
            lost = self._dialects[0].schema and not accepted.schema
            self._dialects = self._dialects[self._dialects.index(accepted) :]
        if lost:
            note(f"{self._url} cannot answer with a schema ({refusal.why}) and is asked without one from now on")

    def _read(self, completion: object) -> Completion:
        choices = completion.choices if isinstance(completion, ChatCompletion) else None
        first = choices[0] if choices else None
        if first is None or first.message is None or reported_error(completion):
            raise self._no_completion(completion)
        message = first.message
        filtered = FILTERED if first.finish_reason == "content_filter" else ""
        text: object = message.content or message.refusal or filtered
        if not isinstance(text, str):
            raise NoReply("the content of its message is no text")
        # A server that reports no usage costs nothing.
        usage: Any = getattr(completion, "usage", None)
        tokens_in, tokens_out = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        dollars = self._price(tokens_in, tokens_out)
        cut_off = first.finish_reason == "length"
        return Completion(_sendable(text), cut_off, dollars, tokens_in, tokens_out, usage is not None)

    def price_at_most(
        self, messages: Sequence[ChatMessage], response_format: Mapping[str, Any] | None, max_tokens: int | None = None
    ) -> float:
        """The highest price of this request in dollars: a token has at least one byte."""
        max_tokens = self._settings.max_tokens if max_tokens is None else max_tokens
        size = sum(len(message["content"].encode()) + _MESSAGE_TOKENS for message in messages)
        size += len(json.dumps(response_format).encode())
        return self._price(size, max_tokens)

    def _price(self, tokens_in: int, tokens_out: int) -> float:
        settings = self._settings
        paid_in = tokens_in * settings.dollars_per_million_input
        return (paid_in + tokens_out * settings.dollars_per_million_output) / 1e6

    def _unavailable(self, url: str, why: str, remedy: str = "") -> EndpointUnavailable:
        start = "start it, correct OPENAI_BASE_URL (it usually ends in /v1) and OPENAI_API_KEY" + self._settings.remedy
        return EndpointUnavailable(f"the endpoint at {url} cannot be used ({why}); {remedy or start}")

    def _no_completion(self, response: object) -> NoReply:
        """The failure for a response that has status 200 and no completion: the error that it reports, or "down"."""
        error = reported_error(response)
        if error is None:
            return NoReply("what it sent is no completion", "down")
        code = str(error.get("code"))
        status = int(code) if code.isascii() and code.isdigit() else 0
        why = self._one_line(f"error {code} in a response with status 200: {error.get('message')}")
        kind = "busy" if "rate_limit" in str(error.get("type")) else status_kind(status, code)
        return NoReply(why, kind, status=status)

    def _why(self, error: BaseException) -> str:
        """An exception in one line, without the key. For a lost connection, its cause, which the client hides."""
        cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else None
        shown = cause if cause is not None and not isinstance(error, openai.APITimeoutError) else error
        return self._one_line(f"{type(shown).__name__}: {shown}")

    def _one_line(self, text: str) -> str:
        return one_line(text.replace(self._key, "***") if self._key != NO_KEY else text, 200)


def role_environment(role: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with OPENAI_{role}_BASE_URL and OPENAI_{role}_API_KEY, where set, as the endpoint's.

    The general key is not sent to a role's own address.
    """
    result = dict(environment)
    if url := environment.get(f"OPENAI_{role}_BASE_URL"):
        result |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": ""}
    if key := environment.get(f"OPENAI_{role}_API_KEY"):
        result["OPENAI_API_KEY"] = key
    return result


def _left(end: float) -> float:
    """The seconds until a moment, for a client that takes no 0."""
    return max(0.001, end - time.monotonic())


def _sendable(text: str) -> str:
    """The text without lone surrogates, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _count(usage: Any, name: str) -> int:
    tokens = getattr(usage, name, None)
    return max(0, tokens) if isinstance(tokens, int) else 0
