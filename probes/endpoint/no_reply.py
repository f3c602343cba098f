"""NoReply, the exception for an endpoint that gave no completion, and the kinds of failure."""

import contextlib
import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import openai

NoReplyKind = Literal["busy", "down", "late", "denied", "refused", "odd"]
"""Worth a retry: "busy" (429), "down" (no connection, 408, 409, 5xx, no completion in the response), "late" (no answer
within the timeout). "denied": every question is refused (key, credit, model). "refused": this question is refused.
"odd": the completion cannot be used."""


class NoReply(Exception):
    """There is no completion; the message says why in one line, without the key.

    ``retry_after``: seconds, if the server gave them. ``status``: of the HTTP response, 0 if there was none. ``sent``:
    whether the request may have reached the server. ``remedy``: a remedy for this failure, at the end of the message.
    """

    def __init__(
        self,
        why: str,
        kind: NoReplyKind = "odd",
        retry_after: float = 0.0,
        status: int = 0,
        sent: bool = True,
        remedy: str = "",
    ) -> None:
        super().__init__(why)
        self.kind, self.retry_after, self.status, self.sent, self.remedy = kind, retry_after, status, sent, remedy

    def __str__(self) -> str:
        why = super().__str__()
        return f"{why}; {self.remedy}" if self.remedy else why

    @property
    def why(self) -> str:
        """The message without its remedy."""
        return super().__str__()

    @property
    def may_cost(self) -> bool:
        """Whether the server may charge for it: the request was sent, and no HTTP status came back."""
        return self.status == 0 and self.sent

    @property
    def temporary(self) -> bool:
        return self.kind in ("busy", "down", "late")


def kind_of(error: Exception) -> NoReplyKind:
    """The kind of failure of an exception of the openai client."""
    if isinstance(error, openai.APIConnectionError):
        return "late" if isinstance(error, openai.APITimeoutError) and reached(error) else "down"
    return status_kind(error.status_code, error.code) if isinstance(error, openai.APIStatusError) else "odd"


def status_kind(status: int, code: object) -> NoReplyKind:
    """The kind of failure of an HTTP status or an error code of OpenAI's API; "down" for an unknown status (0)."""
    if status in (401, 402, 403, 404) or code == "insufficient_quota":
        return "denied"
    if status == 429 or code == "rate_limit_exceeded":
        return "busy"
    return "down" if status in (0, 408, 409) or status >= 500 else "refused"


def reported_error(completion: object) -> Mapping[str, Any] | None:
    """The error in a response with status 200. Gateways report a rate limit or an outage behind them as an ``error``
    object beside the choices or in the first one; vLLM sends a response whose ``object`` is "error"."""
    choices = getattr(completion, "choices", None) or [None]
    for holder in (completion, choices[0]):
        error = getattr(holder, "error", None)
        if isinstance(error, Mapping):
            return cast(Mapping[str, Any], error)
        if isinstance(error, str) and error:
            return {"code": None, "message": error}
    if getattr(completion, "object", None) == "error":
        return {name: getattr(completion, name, None) for name in ("code", "message")}
    return None


def reached(error: Exception) -> bool:
    """Whether the request may have reached the server."""
    return type(error.__cause__).__name__ not in ("ConnectError", "ConnectTimeout")


def is_passing(error: Exception) -> bool:
    """Whether the failure may pass, so that a retry makes sense; a server may forbid one (x-should-retry)."""
    if isinstance(error, openai.APIStatusError) and error.response.headers.get("x-should-retry") == "false":
        return False
    return kind_of(error) in ("busy", "down")


def retry_after(error: Exception) -> float:
    """Seconds of the Retry-After header; 0 without one or with a date."""
    if not isinstance(error, openai.APIStatusError):
        return 0.0
    with contextlib.suppress(KeyError, ValueError):
        seconds = float(error.response.headers["retry-after"])
        return seconds if 0 < seconds < math.inf else 0.0
    return 0.0
