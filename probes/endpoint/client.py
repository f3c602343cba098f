"""An endpoint of chat or text completions, spoken to through the openai client: any server of that dialect will do.

OPENAI_BASE_URL and OPENAI_API_KEY say where and with what key; local servers need none. The client retries by itself
(connection lost, 408, 409, 429, 5xx), so nothing here does. Whatever else goes wrong is one NoReply with one line,
which also says of what kind it is. An Endpoint may be used from several threads.
"""

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import openai
from openai.types import Completion as TextCompletion
from openai.types.chat import ChatCompletion

from common.errors import EndpointUnavailable
from common.redaction import redacted_address
from common.wording import one_line as one_line

FILTERED = "I can't answer: the endpoint's content filter stopped the reply."
NO_KEY = "none"  # the client cannot be made without a key
START_SECONDS = 20.0  # a server that takes longer to list its models counts as down

_MESSAGE_TOKENS = 16  # more than a chat template adds to a message

Message = Mapping[str, str]
T = TypeVar("T")


NoReplyKind = Literal["busy", "down", "denied", "refused", "odd"]
"""Worth a retry: "busy" (429), "down" (no connection, no answer in time, 408, 409, 5xx, no completion in the response).
"denied": every question is refused (key, credit, model). "refused": this question is. "odd": the completion is not one
that can be used."""


class NoReply(Exception):
    """There is no completion; the message says why in one line, without the key.

    ``retry_after``: seconds, if the server gave them. ``status``: of the HTTP response, 0 if there was none. ``sent``:
    whether the request may have reached the server.
    """

    def __init__(
        self, why: str, kind: NoReplyKind = "odd", retry_after: float = 0.0, status: int = 0, sent: bool = True
    ) -> None:
        super().__init__(why)
        self.kind, self.retry_after, self.status, self.sent = kind, retry_after, status, sent

    @property
    def may_cost(self) -> bool:
        """Whether the server may charge for it: the request was sent, and no HTTP status came back."""
        return self.status == 0 and self.sent

    @property
    def temporary(self) -> bool:
        return self.kind in ("busy", "down")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """How a model is asked. ``remedy``: ends the message for an endpoint that cannot be used."""

    timeout: float = 60.0
    max_tokens: int = 1024
    temperature: float = 0.7
    dollars_per_million_input: float = 0.0
    dollars_per_million_output: float = 0.0
    remedy: str = ""
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's text, whether it was cut off at max_tokens, and its price. ``counted``: whether the server counted the
    tokens."""

    text: str
    cut_off: bool
    dollars: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Dialect:
    """The options of a request: some servers know no schema, some models no temperature or max_tokens."""

    schema: bool
    options: Mapping[str, Any]

    @property
    def limit(self) -> str:
        """Its name for the limit of tokens."""
        return "max_tokens" if "max_tokens" in self.options else "max_completion_tokens"


class Endpoint:
    """One model at one endpoint. EndpointUnavailable for an invalid address."""

    def __init__(self, settings: EndpointSettings, model: str, environment: Mapping[str, str]) -> None:
        self.model, self._settings = model, settings
        self._key = environment.get("OPENAI_API_KEY") or NO_KEY
        url = environment.get("OPENAI_BASE_URL") or None
        try:
            self._client = openai.OpenAI(
                base_url=url, api_key=self._key, timeout=settings.timeout, max_retries=settings.retries
            )
        except Exception as error:  # each parser has its own exception for an invalid address
            # The message may quote pieces of a password.
            why = type(error).__name__ if "@" in (url or "") else self._why(error)
            raise self._unavailable(redacted_address(url or ""), why) from None
        self._url = redacted_address(str(self._client.base_url))
        self._dialects = _dialects(settings)

    def check(self) -> None:
        """EndpointUnavailable unless it lists the model or answers one short question."""
        try:
            self.ping()
        except NoReply as error:
            raise self.unavailable(str(error)) from None

    def ping(self) -> None:
        """Like ``check``, but raises NoReply, which says whether waiting helps."""
        if self.model in (listed := self._listed()):
            return
        try:
            self.ask([{"role": "user", "content": "Reply with OK."}], None)
        except NoReply as error:
            offered = f"; it lists the models {one_line(', '.join(listed), 200)}" if listed else ""
            raise NoReply(f"asked for {self.model!r}, {error}{offered}", error.kind, error.retry_after) from None

    def unavailable(self, why: str) -> EndpointUnavailable:
        """The error for an endpoint that cannot be used."""
        return self._unavailable(self._url, why)

    @property
    def url(self) -> str:
        """Its address without a password."""
        return self._url

    def ask(
        self,
        messages: Sequence[Message],
        response_format: Mapping[str, Any] | None = None,
        seed: int | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        """The model's next message. NoReply for any failure of the server or the client.

        seed: for servers that sample reproducibly. max_tokens: instead of that of the settings.
        """
        more = {} if seed is None else {"seed": seed}
        return self._call(lambda: self._read(self._create(messages, response_format, more, max_tokens)))

    def complete(
        self, model: str, prompt: str | list[int], options: Mapping[str, Any], extra: Mapping[str, Any]
    ) -> Completion:
        """The continuation of ``prompt``, a text or token ids. NoReply for a failure or a reply of another model.

        options: of OpenAI's completions. extra: further options of the server.
        """

        def ask() -> Completion:
            completion: object = self._client.completions.create(
                model=model, prompt=prompt, extra_body=dict(extra), **cast(Any, options)
            )
            if not isinstance(completion, TextCompletion) or not completion.choices or _reported_error(completion):
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
        return self._call(lambda: [str(model.id) for model in self._quick().models.list().data])

    def post(self, path: str, body: Mapping[str, Any]) -> str:
        """The response to a call outside of OpenAI's API; NoReply when it is refused."""
        return self._call(lambda: str(self._client.post(path, cast_to=str, body=dict(body))))

    def close(self) -> None:
        """Close the open connections."""
        self._client.close()

    def _quick(self) -> openai.OpenAI:
        """The client for calls that need no model, with a short timeout."""
        return self._client.with_options(timeout=min(START_SECONDS, self._settings.timeout), max_retries=0)

    def _call(self, call: Callable[[], T]) -> T:
        """The result of a call. Any exception of the server or the client becomes a NoReply."""
        try:
            return call()
        except NoReply:
            raise
        except json.JSONDecodeError:
            raise self._no_completion(None) from None
        except Exception as error:
            status = error.status_code if isinstance(error, openai.APIStatusError) else 0
            sent = type(error.__cause__).__name__ not in ("ConnectError", "ConnectTimeout")
            raise NoReply(self._why(error), _kind(error), _retry_after(error), status, sent) from None

    def _listed(self) -> list[str]:
        """The names of its models; empty if the list is missing, refused to this key, or unreadable."""
        try:
            page = self._quick().models.list()
            return [str(model.id) for model in page.data]
        except (openai.APIConnectionError, openai.AuthenticationError) as error:
            raise NoReply(self._why(error), _kind(error)) from None
        except Exception:
            return []

    def _create(
        self,
        messages: Sequence[Message],
        response_format: Mapping[str, Any] | None,
        more: Mapping[str, Any],
        max_tokens: int | None,
    ) -> object:
        """One completion in the first dialect that the server accepts. Dialects it refused are not tried again."""
        refusal: openai.APIStatusError | None = None
        dialects = self._dialects  # another thread may shorten the list meanwhile
        for place, dialect in enumerate(dialects):
            options: Any = {**dialect.options, **more}
            if max_tokens is not None:
                options[dialect.limit] = max_tokens
            if dialect.schema and response_format is not None:
                options["response_format"] = response_format
            try:
                completion: object = self._client.chat.completions.create(
                    model=self.model, messages=cast(Any, messages), **options
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refusal = refusal or error
                continue
            if response_format is not None and (refusal is None or _names_an_option(refusal)):
                self._dialects = dialects[place:]
            return completion
        raise NoReply(self._why(refusal) if refusal else "no dialect is left to try", "refused")

    def _read(self, completion: object) -> Completion:
        choices = completion.choices if isinstance(completion, ChatCompletion) else None
        if not choices or choices[0].message is None or _reported_error(completion):
            raise self._no_completion(completion)
        message = choices[0].message
        filtered = FILTERED if choices[0].finish_reason == "content_filter" else ""
        text: object = message.content or message.refusal or filtered
        if not isinstance(text, str):
            raise NoReply("the content of its message is no text")
        # A server that reports no usage costs nothing.
        usage: Any = getattr(completion, "usage", None)
        tokens_in, tokens_out = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        dollars = self._price(tokens_in, tokens_out)
        cut_off = choices[0].finish_reason == "length"
        return Completion(_sendable(text), cut_off, dollars, tokens_in, tokens_out, usage is not None)

    def price_at_most(
        self, messages: Sequence[Message], response_format: Mapping[str, Any] | None, max_tokens: int
    ) -> float:
        """The highest price of this request in dollars: a token has at least one byte."""
        size = sum(len(message["content"].encode()) + _MESSAGE_TOKENS for message in messages)
        size += len(json.dumps(response_format).encode())
        return self._price(size, max_tokens)

    def _price(self, tokens_in: int, tokens_out: int) -> float:
        settings = self._settings
        paid_in = tokens_in * settings.dollars_per_million_input
        return (paid_in + tokens_out * settings.dollars_per_million_output) / 1e6

    def _unavailable(self, url: str, why: str) -> EndpointUnavailable:
        return EndpointUnavailable(
            f"the endpoint at {url} cannot be used ({why}); start it, correct OPENAI_BASE_URL (it usually ends in /v1) "
            f"and OPENAI_API_KEY{self._settings.remedy}"
        )

    def _no_completion(self, response: object) -> NoReply:
        """The failure of a response with status 200 without a completion: the error that it reports, or "down"."""
        error = _reported_error(response)
        if error is None:
            return NoReply("what it sent is no completion", "down")
        code = str(error.get("code"))
        status = int(code) if code.isascii() and code.isdigit() else 0
        why = self._one_line(f"error {code} in a response with status 200: {error.get('message')}")
        return NoReply(why, _status_kind(status, code), status=status)

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


def _dialects(settings: EndpointSettings) -> tuple[Dialect, ...]:
    usual: Mapping[str, Any] = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
    reasoning = {"max_completion_tokens": settings.max_tokens}
    return Dialect(True, usual), Dialect(False, usual), Dialect(True, reasoning), Dialect(False, reasoning)


def _names_an_option(refusal: openai.APIStatusError) -> bool:
    """Whether the refusal names an option. Only then is the dialect not tried again."""
    return any(name in str(refusal) for name in ("temperature", "max_tokens", "response_format", "json_schema"))


def _sendable(text: str) -> str:
    """The text without lone surrogates, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _count(usage: Any, name: str) -> int:
    tokens = getattr(usage, name, None)
    return max(0, tokens) if isinstance(tokens, int) else 0


def _kind(error: Exception) -> NoReplyKind:
    """The kind of failure that an exception of the client is."""
    if isinstance(error, openai.APIConnectionError):
        return "down"
    return _status_kind(error.status_code, error.code) if isinstance(error, openai.APIStatusError) else "odd"


def _status_kind(status: int, code: object) -> NoReplyKind:
    """The kind of failure of an HTTP status, or of a code by name; "down" for a status that is not known (0)."""
    if status in (401, 402, 403, 404) or code == "insufficient_quota":
        return "denied"
    if status == 429 or code == "rate_limit_exceeded":
        return "busy"
    return "down" if status in (0, 408, 409) or status >= 500 else "refused"


def _reported_error(completion: object) -> Mapping[str, Any] | None:
    """The error that a response with status 200 reports: gateways do that for a rate limit or an outage behind them, as
    an ``error`` object beside the choices or in one; vLLM as a response whose ``object`` is "error"."""
    choices = getattr(completion, "choices", None) or [None]
    for holder in (completion, choices[0]):
        if isinstance(error := getattr(holder, "error", None), Mapping):
            return cast(Mapping[str, Any], error)
    if getattr(completion, "object", None) == "error":
        return {name: getattr(completion, name, None) for name in ("code", "message")}
    return None


def _retry_after(error: Exception) -> float:
    """Seconds of the Retry-After header; 0 without one or with a date."""
    if not isinstance(error, openai.APIStatusError):
        return 0.0
    with contextlib.suppress(KeyError, ValueError):
        seconds = float(error.response.headers["retry-after"])
        return seconds if 0 < seconds < math.inf else 0.0
    return 0.0
