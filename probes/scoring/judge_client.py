"""Asks the judge: again where a reply cannot be used, later where the endpoint is down, and counts what it costs."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from probes.endpoint import Completion, Endpoint, Message, NoReply
from probes.scoring.judge_patience import Patience
from probes.scoring.judge_question import again
from probes.scoring.judgement import Judgement, Unreadable, read_judgement
from probes.scoring.protocol import Missing
from probes.scoring.rubric import Rubric

ATTEMPTS = 2  # a reply that cannot be used is asked for again, with double the tokens
ALONE = 5  # after so many failures of one answer, the endpoint is asked whether it fails for all
SHORT = [{"role": "user", "content": "Reply with OK."}]


@dataclass(frozen=True, slots=True)
class Spent:
    """What judging took: replies that came, also unreadable ones, and judgements had from the cache."""

    calls: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.calls + other.calls, self.cache_hits + other.cache_hits, self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens, self.dollars + other.dollars,
        )  # fmt: skip


class JudgeClient:
    """One judge with one rubric. EndpointUnavailable when the endpoint takes the key or the model no more."""

    def __init__(self, endpoint: Endpoint, rubric: Rubric, max_tokens: int) -> None:
        self._endpoint, self._rubric, self._max_tokens = endpoint, rubric, max_tokens
        self._format = rubric.response_format
        self._lock, self._spent = threading.Lock(), Spent()

    @property
    def spent(self) -> Spent:
        with self._lock:
            return self._spent

    def count_hits(self, hits: int) -> None:
        self._add(Spent(cache_hits=hits))

    def look(self) -> str:
        """What is doubtful about the endpoint now; "" when it answers. A key or model that is not taken is no doubt."""
        try:
            self._endpoint.look()
        except NoReply as error:
            if error.kind == "denied":
                raise self._endpoint.unavailable(str(error)) from None
            return f"it gave no reply yet ({error})"
        return ""

    def judge(self, question: Sequence[Message], patience: Patience) -> tuple[Judgement, Spent] | Missing:
        """A judgement and what it cost; Missing when no reply can be used. ScorerBroken at the end of the patience."""
        messages, tokens, cost, why = list(question), self._max_tokens, Spent(), ""
        for _ in range(ATTEMPTS):
            try:
                completion = self._ask(messages, tokens, patience)
                cost += _cost(completion)
                return _read(completion, tokens, self._rubric), cost
            except Unreadable as error:
                why = str(error)
                messages += [] if completion.cut_off else again(completion.text, why)
                tokens *= 2
            except NoReply as error:
                if error.kind != "odd":
                    return Missing("refused by the endpoint")
                why = str(error)
        return Missing(f"no readable judgement: {why}")

    def _ask(self, messages: Sequence[Message], tokens: int, patience: Patience) -> Completion:
        """The judge's reply, waited for while the endpoint is down. NoReply when there is none to this question."""
        failures = 0
        while True:
            patience.pause()
            try:
                completion = self._endpoint.ask(messages, self._format, max_tokens=tokens)
            except NoReply as error:
                failures += error.kind == "down"
                self._sort_out(error, failures, patience)
                continue
            patience.worked()
            self._add(_cost(completion))
            return completion

    def _sort_out(self, error: NoReply, failures: int, patience: Patience) -> None:
        """Return when the question may be asked again after a pause."""
        if error.kind == "denied":
            raise self._endpoint.unavailable(str(error)) from None
        if not error.temporary:
            patience.worked()
            raise error
        if failures >= ALONE and self._answers_others():
            patience.worked()
            raise NoReply(str(error), "refused")
        patience.failed(str(error), error.retry_after)

    def _answers_others(self) -> bool:
        """Whether it answers a short question: then what it fails on is the answer, not the hour."""
        try:
            self._add(_cost(self._endpoint.ask(SHORT, max_tokens=16)))
        except NoReply:
            return False
        return True

    def _add(self, more: Spent) -> None:
        with self._lock:
            self._spent += more


def _read(completion: Completion, tokens: int, rubric: Rubric) -> Judgement:
    """A reply that was cut off is not read at all: it might have gone on."""
    if completion.cut_off:
        raise Unreadable(f"it was cut off at {tokens} tokens (raise max_tokens under [scorer])")
    return read_judgement(completion.text, rubric)


def _cost(completion: Completion) -> Spent:
    return Spent(1, 0, completion.prompt_tokens, completion.completion_tokens, completion.dollars)
