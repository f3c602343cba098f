"""Asks the judge: again where a reply cannot be used, later where the endpoint is down, and counts what it costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from probes.endpoint.client import Completion, Endpoint, Message, NoReply
from probes.endpoint.retry import Patience
from probes.endpoint.spending import Purse, Spent
from probes.scoring.judge.judgement import Unreadable
from probes.scoring.judge.question import again
from probes.scoring.protocol import Missing

ATTEMPTS = 2  # a reply that cannot be used is asked for again, with double the tokens
ALONE = 5  # after so many failures of one answer, the endpoint is asked whether it fails for all
LAST = 1000  # failures of an answer that is asked once more, because the endpoint answered something else since
REFUSED = "refused by the endpoint"
SHORT = [{"role": "user", "content": "Reply with OK."}]

T = TypeVar("T")


@dataclass(frozen=True)
class Form(Generic[T]):
    """One way to ask a judge: what it is told first, its reply's format, and how a reply is read.

    ``read`` takes the text of a reply, ``restore`` what ``store`` made of one; both raise Unreadable.
    """

    system: str
    response_format: Mapping[str, Any]
    read: Callable[[str], T]
    store: Callable[[T], dict[str, Any]]
    restore: Callable[[object], T]

    def messages(self, question: str) -> list[Message]:
        return [{"role": "system", "content": self.system}, {"role": "user", "content": question}]


class JudgeClient:
    """One judge. EndpointUnavailable when the endpoint takes the key or the model no more, or is down for too long."""

    def __init__(self, endpoint: Endpoint, max_tokens: int) -> None:
        self._endpoint, self._max_tokens = endpoint, max_tokens

    def close(self) -> None:
        self._endpoint.close()

    def look(self) -> str:
        """What is doubtful about the endpoint now; "" when it answers. A key or model that is not taken is no doubt."""
        try:
            self._endpoint.look()
        except NoReply as error:
            if error.kind == "denied":
                raise self._endpoint.unavailable(str(error)) from None
            return f"it gave no reply yet ({error})"
        return ""

    def ask(self, form: Form[T], question: str, patience: Patience, purse: Purse) -> tuple[T, Spent] | Missing:
        """What the judge replied and what that cost; Missing when no reply can be used."""
        messages, tokens, why = form.messages(question), self._max_tokens, ""
        taken = Spent()
        for _ in range(ATTEMPTS):
            try:
                completion = self._completion(messages, form, tokens, patience, purse)
                taken += _cost(completion)
                return _read(completion, tokens, form), taken
            except Unreadable as error:
                why = str(error)
                messages += [] if completion.cut_off else again(completion.text, why)
                tokens *= 2
            except NoReply as error:
                if error.kind != "odd":
                    return Missing(REFUSED)
                why = str(error)
        return Missing(f"no readable judgement: {why}")

    def _completion(
        self, messages: Sequence[Message], form: Form[T], tokens: int, patience: Patience, purse: Purse
    ) -> Completion:
        """The judge's reply, waited for while the endpoint is down. NoReply when there is none to this question."""
        failures = 0
        while True:
            patience.pause()
            try:
                completion = self._paid(messages, form.response_format, tokens, purse)
            except NoReply as error:
                failures += error.kind == "down"
                if self._sort_out(error, failures, patience, purse):
                    failures = LAST
                continue
            patience.worked()
            return completion

    def _sort_out(self, error: NoReply, failures: int, patience: Patience, purse: Purse) -> bool:
        """Return when the question may be asked again: after a pause, or (true) for the last time, at once."""
        if error.kind == "denied":
            raise self._endpoint.unavailable(str(error)) from None
        if not error.temporary:
            patience.worked()
            raise error
        if failures >= ALONE and self._answers_others(purse):
            patience.worked()
            if failures > LAST:
                raise NoReply(str(error), "refused")
            return True  # it may have come back just now
        patience.failed(str(error), error.retry_after)
        return False

    def _answers_others(self, purse: Purse) -> bool:
        """Whether it answers a short question: then what it fails on is the answer, not the hour."""
        try:
            self._paid(SHORT, None, 16, purse)
        except NoReply:
            return False
        return True

    def _paid(
        self, messages: Sequence[Message], response_format: Mapping[str, Any] | None, tokens: int, purse: Purse
    ) -> Completion:
        """One call, for which the money is set aside before it is made."""
        at_most = self._endpoint.price_at_most(messages, response_format, tokens)
        with purse.call(at_most) as taken:
            try:
                completion = self._endpoint.ask(messages, response_format, max_tokens=tokens)
            except NoReply as error:
                taken += [Spent(dollars=at_most)] if error.may_cost else []
                raise
            cost = _cost(completion)
            taken.append(cost if completion.counted else replace(cost, dollars=at_most))
        return completion


def _read(completion: Completion, tokens: int, form: Form[T]) -> T:
    """A reply that was cut off is not read at all: it might have gone on."""
    if completion.cut_off:
        raise Unreadable(f"it was cut off at {tokens} tokens (raise max_tokens under [scorer])")
    return form.read(completion.text)


def _cost(completion: Completion) -> Spent:
    return Spent(1, 0, completion.prompt_tokens, completion.completion_tokens, completion.dollars)
