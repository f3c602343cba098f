"""Asks a judge one question: asks again when a reply is unusable, waits while the endpoint is down, counts the cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from probes.endpoint.client import Completion, Endpoint
from probes.endpoint.dialects import ChatMessage
from probes.endpoint.no_reply import NoReply
from probes.endpoint.retry import Backoff, to_log
from probes.endpoint.spending import SpendingMeter, Usage
from probes.scoring.judge.judgement import UnreadableJudgement
from probes.scoring.judge.question import correction_request
from probes.scoring.judge.question_kinds import QuestionKind
from probes.scoring.protocol import Missing

ATTEMPTS = 2  # a reply that cannot be used is asked for again, with double the tokens
FAILURES_BEFORE_CHECK = 5  # after this many failures of one question, the endpoint gets another one as a check
FINAL_ATTEMPT = 1000  # the count of failures is set to this when only one more attempt is left
REFUSED = "refused by the endpoint"
SHORT = [{"role": "user", "content": "Reply with OK."}]

T = TypeVar("T")


class JudgeClient:
    """One judge. EndpointUnavailable when the endpoint refuses the key or the model, or is down for too long."""

    def __init__(self, endpoint: Endpoint, max_tokens: int) -> None:
        self._endpoint, self._max_tokens = endpoint, max_tokens

    def close(self) -> None:
        self._endpoint.close()

    def ping(self) -> str:
        """Why the endpoint does not answer now; "" when it does. EndpointUnavailable for a refused key or model."""
        try:
            self._endpoint.ping()
        except NoReply as error:
            if error.kind == "denied":
                raise self._endpoint.unavailable(error) from None
            return f"it gave no reply yet ({error})"
        return ""

    def ask(
        self,
        kind: QuestionKind[T],
        question: str,
        backoff: Backoff,
        meter: SpendingMeter,
        note: Callable[[str], None] = to_log,
    ) -> tuple[T, Usage] | Missing:
        """The judge's reply and its cost; Missing when no reply is usable. ``note``: gets a line on what the endpoint
        cannot do."""
        messages, tokens, why = kind.messages(question), self._max_tokens, ""
        taken = Usage()
        for _ in range(ATTEMPTS):
            asked = _JudgeRequest(messages, kind.response_format, tokens, note)
            try:
                completion = self._completion(asked, backoff, meter)
                taken += completion.usage
                return read_completion(completion, tokens, kind), taken
            except UnreadableJudgement as error:
                why = str(error)
                messages += [] if completion.cut_off else correction_request(completion.text, why)
                tokens *= 2
            except NoReply as error:
                if error.kind != "odd":
                    return Missing(str(error) if error.kind == "late" else REFUSED)
                why = str(error)
        return Missing(f"no readable judgement: {why}")

    def _completion(self, asked: "_JudgeRequest", backoff: Backoff, meter: SpendingMeter) -> Completion:
        """The reply, waiting while the endpoint is down. NoReply when this question gets none."""
        failures = 0
        while True:
            backoff.pause()
            try:
                completion = self._paid(asked, meter)
                if not completion.cut_off and not completion.text.strip():
                    raise NoReply("its reply is empty", "down")
            except NoReply as error:
                failures += error.kind in ("down", "late")
                if self._wait_or_raise(error, failures, backoff, meter):
                    failures = FINAL_ATTEMPT
                continue
            backoff.worked()
            return completion

    def _wait_or_raise(self, error: NoReply, failures: int, backoff: Backoff, meter: SpendingMeter) -> bool:
        """Return when the question may be asked again: False after a pause, True at once and for the last time."""
        if error.kind == "denied":
            raise self._endpoint.unavailable(error) from None
        if not error.temporary:
            backoff.worked()
            raise error
        if failures >= FAILURES_BEFORE_CHECK and self._answers_others(meter):
            backoff.worked()
            if failures > FINAL_ATTEMPT:
                raise NoReply(str(error), "late" if error.kind == "late" else "refused")
            return True  # it may have come back a moment ago
        backoff.failed(str(error), error.retry_after)
        return False

    def _answers_others(self, meter: SpendingMeter) -> bool:
        """Whether the endpoint answers a short question: then it fails because of the other one."""
        try:
            self._paid(_JudgeRequest(SHORT, None, 16), meter)
        except NoReply:
            return False
        return True

    def _paid(self, asked: "_JudgeRequest", meter: SpendingMeter) -> Completion:
        """One call. Its highest price is reserved before it is made."""
        messages, response_format, tokens = asked.messages, asked.response_format, asked.tokens
        at_most = self._endpoint.price_at_most(messages, response_format, tokens)
        with meter.call(at_most) as taken:
            try:
                completion = self._endpoint.ask(messages, response_format, max_tokens=tokens, note=asked.note)
            except NoReply as error:
                taken += [Usage(dollars=at_most)] if error.may_cost else []
                raise
            cost = completion.usage
            taken.append(cost if completion.counted else replace(cost, dollars=at_most))
        return completion


@dataclass(frozen=True, slots=True)
class _JudgeRequest:
    """One request. ``note``: gets a line on what the endpoint cannot do."""

    messages: Sequence[ChatMessage]
    response_format: Mapping[str, Any] | None
    tokens: int
    note: Callable[[str], None] = to_log


def read_completion(completion: Completion, tokens: int, kind: QuestionKind[T]) -> T:
    """The judge's reply as ``kind`` reads it; UnreadableJudgement for one that was cut off, whatever it holds."""
    if completion.cut_off:
        raise UnreadableJudgement(f"it was cut off at {tokens} tokens (raise max_tokens under [scorer])")
    return kind.read(completion.text)
