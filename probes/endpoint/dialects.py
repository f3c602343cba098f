"""The dialects of chat completions: which options a server and its model accept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai

ChatMessage = Mapping[str, str]
CANNOT = (500, 501)  # what some servers answer to every request with a schema


@dataclass(frozen=True, slots=True)
class Dialect:
    """The options of a request: some servers know no schema, some models no temperature or max_tokens."""

    schema: bool
    options: Mapping[str, Any]

    @property
    def limit(self) -> str:
        """The name of its option for the most tokens of a completion."""
        return "max_tokens" if "max_tokens" in self.options else "max_completion_tokens"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question. ``more``: further options of its request. ``note``: gets a line on what the server cannot do."""

    messages: Sequence[ChatMessage]
    response_format: Mapping[str, Any] | None
    more: Mapping[str, Any]
    max_tokens: int | None
    note: Callable[[str], None]

    def options(self, dialect: Dialect) -> Any:
        """The options of a request in this dialect."""
        options = {**dialect.options, **self.more}
        if self.max_tokens is not None:
            options[dialect.limit] = self.max_tokens
        if dialect.schema and self.response_format is not None:
            options["response_format"] = self.response_format
        return options


def dialects(temperature: float, max_tokens: int) -> tuple[Dialect, ...]:
    """All dialects, in the order in which they are tried."""
    usual: Mapping[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
    reasoning = {"max_completion_tokens": max_tokens}
    return Dialect(True, usual), Dialect(False, usual), Dialect(True, reasoning), Dialect(False, reasoning)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a server refused a dialect. ``may_pass``: it may be an outage. ``names_an_option``: whether the server's
    message names an option of the request."""

    why: str
    may_pass: bool
    names_an_option: bool

    @staticmethod
    def of(error: openai.APIStatusError, why: str) -> "Refusal":
        named = any(name in str(error) for name in ("temperature", "max_tokens", "response_format", "json_schema"))
        return Refusal(why, error.status_code in CANNOT, named)
