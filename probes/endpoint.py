"""A chat completion endpoint, spoken to through the openai client: any server of that dialect will do.

OPENAI_BASE_URL and OPENAI_API_KEY say where and with what key; local servers need none. The client retries by itself
(connection lost, 408, 409, 429, 5xx), so nothing here does. Whatever else goes wrong is one NoReply with one line.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletion

from lanes.errors import EndpointUnavailable

FILTERED = "I can't answer: the endpoint's content filter stopped the reply."
NO_KEY = "none"  # the client refuses to be made without a key
START_SECONDS = 20.0  # a server that cannot list its models in this time will not do for a night

Message = Mapping[str, str]


class NoReply(Exception):
    """No completion came; the text says why in one line, without the key."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """How a model is asked: seconds to wait, tokens to get at most, prices, and what else a user can do without it."""

    timeout: float = 60.0
    max_tokens: int = 1024
    temperature: float = 0.7
    dollars_per_million_input: float = 0.0
    dollars_per_million_output: float = 0.0
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's text, whether it was cut off at max_tokens, and its price."""

    text: str
    cut_off: bool
    dollars: float


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to ask: some servers know no schema, some models neither a temperature nor max_tokens."""

    schema: bool
    options: Mapping[str, Any]


class Endpoint:
    """One model at one endpoint. EndpointUnavailable when its address is none."""

    def __init__(self, settings: EndpointSettings, model: str, environment: Mapping[str, str]) -> None:
        self.model, self._settings = model, settings
        self._key = environment.get("OPENAI_API_KEY") or NO_KEY
        url = environment.get("OPENAI_BASE_URL") or None
        try:
            self._client = openai.OpenAI(base_url=url, api_key=self._key, timeout=settings.timeout, max_retries=2)
        except Exception as error:  # an address that cannot be parsed is told in as many ways as there are parsers
            raise self._unavailable(_without_password(url or ""), self._why(error)) from None
        self._url = _without_password(str(self._client.base_url))
        self._dialects = _dialects(settings)

    def check(self) -> None:
        """EndpointUnavailable unless it lists the model or, where it does not, answers one short question."""
        if self.model in (listed := self._listed()):
            return
        try:
            self.ask([{"role": "user", "content": "Reply with OK."}], None)
        except NoReply as error:
            offered = f"; it lists the models {one_line(', '.join(listed), 200)}" if listed else ""
            raise self._unavailable(self._url, f"asked for {self.model!r}, {error}{offered}") from None

    def ask(
        self, messages: Sequence[Message], response_format: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> Completion:
        """The model's next message; NoReply when there is none, whatever the server or the client did.

        seed: for servers that sample the same for the same seed.
        """
        try:
            return self._read(self._create(messages, response_format, {} if seed is None else {"seed": seed}))
        except NoReply:
            raise
        except Exception as error:
            raise NoReply(self._why(error)) from None

    def _listed(self) -> list[str]:
        """The names of its models; none where the list is missing, refused to this key, or not to be read."""
        try:
            page = self._client.with_options(timeout=min(START_SECONDS, self._settings.timeout)).models.list()
            return [str(model.id) for model in page.data]
        except (openai.APIConnectionError, openai.AuthenticationError) as error:
            raise self._unavailable(self._url, self._why(error)) from None
        except Exception:
            return []

    def _create(
        self, messages: Sequence[Message], response_format: Mapping[str, Any] | None, more: Mapping[str, Any]
    ) -> object:
        """One completion in the first dialect that the server takes; those it refused are not tried again."""
        refusal: openai.APIStatusError | None = None
        for place, dialect in enumerate(self._dialects):
            options: Any = {**dialect.options, **more}
            if dialect.schema and response_format is not None:
                options["response_format"] = response_format
            try:
                completion: object = self._client.chat.completions.create(
                    model=self.model, messages=cast(Any, messages), **options
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refusal = refusal or error
                continue
            if response_format is not None:
                self._dialects = self._dialects[place:]
            return completion
        raise NoReply(self._why(refusal) if refusal else "no way of asking is left")

    def _read(self, completion: object) -> Completion:
        choices = completion.choices if isinstance(completion, ChatCompletion) else None
        if not choices or choices[0].message is None:
            raise NoReply("what it sent is no chat completion")
        message = choices[0].message
        filtered = FILTERED if choices[0].finish_reason == "content_filter" else ""
        text: object = message.content or message.refusal or filtered
        if not isinstance(text, str):
            raise NoReply("the content of its message is no text")
        sendable = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate could not be sent back
        return Completion(sendable, choices[0].finish_reason == "length", self._price(completion))

    def _price(self, completion: Any) -> float:
        """Dollars, from the usage that the server states; a server that states none is free."""
        usage, settings = completion.usage, self._settings
        paid_in = _count(usage, "prompt_tokens") * settings.dollars_per_million_input
        return (paid_in + _count(usage, "completion_tokens") * settings.dollars_per_million_output) / 1e6

    def _unavailable(self, url: str, why: str) -> EndpointUnavailable:
        return EndpointUnavailable(
            f"the endpoint at {url} cannot be used ({why}); start it, correct OPENAI_BASE_URL (it usually ends in /v1) "
            f"and OPENAI_API_KEY{self._settings.otherwise}"
        )

    def _why(self, error: BaseException) -> str:
        """An exception in one line, without the key. The client says of a lost connection only that it was lost."""
        cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else None
        told = cause if cause is not None and not isinstance(error, openai.APITimeoutError) else error
        text = f"{type(told).__name__}: {told}"
        return one_line(text.replace(self._key, "***") if self._key != NO_KEY else text, 200)


def _dialects(settings: EndpointSettings) -> tuple[Dialect, ...]:
    usual: Mapping[str, Any] = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
    reasoning = {"max_completion_tokens": settings.max_tokens}
    return Dialect(True, usual), Dialect(False, usual), Dialect(True, reasoning), Dialect(False, reasoning)


def _count(usage: Any, name: str) -> int:
    tokens = getattr(usage, name, None)
    return max(0, tokens) if isinstance(tokens, int) else 0


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)


def one_line(text: str, limit: int) -> str:
    """Printable text without line breaks, control characters or lone surrogates, at most ``limit`` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]
