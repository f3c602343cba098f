"""One question to an endpoint before anything is trained: what it said, how long that took, whether it can be used."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.wording import one_line
from probes.endpoint.client import Completion, Endpoint
from probes.endpoint.dialects import ChatMessage
from probes.endpoint.no_reply import NoReply

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """``failure``: why there was no reply, with the remedy; "" if there was one. ``said``: the first line of the reply,
    shortened. ``problem``: what is wrong with the reply; "" if nothing is. ``schema_refused``: why the
    server gave it without the schema; "" if it had one. ``dollars``: what the question cost, or may have, by the
    study's prices. ``repeated``: for a server of ``[serving]``, how many answers were the same when its questions were
    asked one by one and all at once.
    """

    role: str
    model: str = ""
    url: str = ""
    seconds: float = 0.0
    said: str = ""
    problem: str = ""
    schema_refused: str = ""
    failure: str = ""
    dollars: float = 0.0
    repeated: str = ""


def try_chat(
    role: str,
    endpoint: Endpoint,
    messages: Sequence[ChatMessage],
    response_format: Mapping[str, Any],
    problem_of: Callable[[Completion], str],
) -> Trial:
    """Ask once for a reply that keeps to the schema. ``problem_of``: what is wrong with a completion; "" if nothing."""
    began = time.monotonic()
    try:
        endpoint.require_reachable()
        completion = endpoint.ask(messages, response_format)
    except NoReply as error:
        at_most = endpoint.price_at_most(messages, response_format) if error.may_cost else 0.0
        return failed_trial(role, endpoint, str(endpoint.unavailable(error)), time.monotonic() - began, at_most)
    return Trial(
        role=role,
        model=endpoint.model,
        url=endpoint.url,
        seconds=time.monotonic() - began,
        said=first_line(completion.text),
        problem=problem_of(completion),
        schema_refused=completion.schema_refused,
        dollars=completion.dollars,
    )


def failed_trial(role: str, endpoint: Endpoint, why: str, seconds: float, dollars: float = 0.0) -> Trial:
    return Trial(role=role, model=endpoint.model, url=endpoint.url, seconds=seconds, failure=why, dollars=dollars)


def first_line(text: str) -> str:
    """The first line of a reply that is not empty, printable and shortened."""
    return one_line(next((line for line in text.splitlines() if line.strip()), ""), MOST_SHOWN)
