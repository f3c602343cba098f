"""Asks a judge many questions: several at a time, each only once, and keeps the judgements on disk."""

import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from common.errors import BadInput, EndpointUnavailable
from probes.endpoint.client import Endpoint, EndpointSettings, role_environment
from probes.endpoint.retry import Backoff, run_concurrently
from probes.endpoint.spending import Usage
from probes.scoring.judge.epoch import load_epoch
from probes.scoring.judge.judgement import UnreadableJudgement
from probes.scoring.judge.question_kinds import QuestionKind
from probes.scoring.judge.requests.cache import JudgeCache, cache_key
from probes.scoring.judge.requests.client import JudgeClient
from probes.scoring.judge.settings import JudgeSettings, cache_folder
from probes.scoring.protocol import Context, Missing

CLAIMS = 3.0  # a claim on a question lasts this many timeouts
POLL = 0.05  # seconds between two checks for another worker's judgement
VERSION = 2  # raise it after a change that affects judgements and is not in the messages

T = TypeVar("T")
Q = TypeVar("Q", bound=Hashable)

Question = tuple[str, int]
"""The user message and the number of the pass. Equal answers to one prompt are one question."""


def judge_endpoint(settings: JudgeSettings, environment: Mapping[str, str] | None = None) -> Endpoint:
    """The judge's endpoint. BadInput when no model is named; EndpointUnavailable when no endpoint is set, or its
    address is invalid."""
    if not settings.model:
        raise BadInput(
            "[scorer] model is missing; name the judge's model there, or in OPENAI_JUDGE_MODEL or OPENAI_MODEL"
        )
    asked = EndpointSettings(
        timeout=settings.timeout,
        late_remedy="raise timeout or lower concurrency under [scorer]",
        max_tokens=settings.max_tokens,
        temperature=0.0,
        dollars_per_million_input=settings.dollars_per_million_input,
        dollars_per_million_output=settings.dollars_per_million_output,
        remedy=", or model under [scorer]",
        retries=0,
    )
    where = role_environment("JUDGE", os.environ if environment is None else environment)
    if not (where.get("OPENAI_BASE_URL") or where.get("OPENAI_API_KEY")):
        raise EndpointUnavailable(
            f"{settings.model!r} is to judge and no endpoint is set; set OPENAI_JUDGE_BASE_URL or OPENAI_BASE_URL, or "
            "OPENAI_JUDGE_API_KEY for OpenAI's own"
        )
    return Endpoint(asked, settings.model, where)


class BatchJudge:
    """One judge at one endpoint.

    EndpointUnavailable when the endpoint refuses the key or the model, at the start or later, or is down for longer
    than the study's ``patience``. BudgetSpent when the session's money is spent. BadInput when no model is named.
    """

    def __init__(self, settings: JudgeSettings, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        endpoint = judge_endpoint(settings, environment)
        self._client = JudgeClient(endpoint, settings.max_tokens)
        doubt = self._client.ping()
        self.about = f"judge: {settings.model} at {endpoint.url}" + (f"; {doubt}" if doubt else "")
        self._cache = JudgeCache(cache_folder(settings, folder))
        self.epoch = load_epoch(settings, folder).number  # only judgements of this epoch are read from the cache

    def close(self) -> None:
        self._cache.close()
        self._client.close()

    def ask(
        self, kind: QuestionKind[T], questions: Sequence[Question], context: Context
    ) -> dict[Question, T | Missing]:
        """Take each judgement from the cache, or else ask the judge once."""
        found: dict[Question, T | Missing] = {}
        for question in dict.fromkeys(questions):
            if (kept := self._cached(kind, question)) is not None:
                found[question] = kept
        context.meter.count(Usage(cache_hits=len(found)))
        todo = [question for question in dict.fromkeys(questions) if question not in found]
        return found | self._at_once(todo, context, lambda one, backoff: self._judgement(kind, one, backoff, context))

    def ask_afresh(
        self, kind: QuestionKind[T], questions: Sequence[str], context: Context, answered: Callable[[], None]
    ) -> list[T | Missing]:
        """Ask the judge without reading or writing the cache, for examining it. Results are in the order asked.
        ``answered``: called after each, in any thread."""
        numbered = list(enumerate(questions))

        def judged(one: tuple[int, str], backoff: Backoff) -> T | Missing:
            reply = self._client.ask(kind, one[1], backoff, context.meter, context.note)
            answered()
            return reply if isinstance(reply, Missing) else reply[0]

        found = self._at_once(numbered, context, judged)
        return [found[one] for one in numbered]

    def _at_once(
        self, asked: Sequence[Q], context: Context, judged: Callable[[Q, Backoff], T | Missing]
    ) -> dict[Q, T | Missing]:
        """Ask several at a time. They share one backoff."""
        backoff = Backoff(self._settings.patience, context.note)
        return run_concurrently(asked, lambda one: judged(one, backoff), self._settings.concurrency, backoff, "judge")

    def _judgement(self, kind: QuestionKind[T], question: Question, backoff: Backoff, context: Context) -> T | Missing:
        """One judgement, stored once it is read. If another worker stored one first, that one is returned."""
        key = self._key(kind, question)
        while not self._cache.claim(key, CLAIMS * self._settings.timeout):  # another worker is asking the same question
            time.sleep(POLL)
            backoff.pause()
            if (found := self._cached(kind, question)) is not None:
                context.meter.count(Usage(cache_hits=1))
                return found
        try:
            if (found := self._cached(kind, question)) is not None:
                context.meter.count(Usage(cache_hits=1))
                return found
            return self._asked(kind, question, backoff, context)
        finally:
            self._cache.release(key)

    def _asked(self, kind: QuestionKind[T], question: Question, backoff: Backoff, context: Context) -> T | Missing:
        reply = self._client.ask(kind, question[0], backoff, context.meter)
        if isinstance(reply, Missing):
            return reply
        judgement, cost = reply
        data = kind.store(judgement) | {
            "prompt_tokens": cost.prompt_tokens,
            "completion_tokens": cost.completion_tokens,
            "dollars": cost.dollars,
        }
        kept = self._cache.put(self._key(kind, question), data, lambda found: _restored(kind, found) is not None)
        return _restored(kind, kept) or judgement

    def _key(self, kind: QuestionKind[T], question: Question) -> bytes:
        """The cache key. The messages hold rubric, prompt and answer; the epoch changes when the judge's calibration
        moves."""
        return cache_key(VERSION, self._settings.model, self.epoch, kind.messages(question[0]), question[1])

    def _cached(self, kind: QuestionKind[T], question: Question) -> T | None:
        return _restored(kind, self._cache.get(self._key(kind, question)))


def _restored(kind: QuestionKind[T], data: object) -> T | None:
    try:
        return kind.restore(data)
    except UnreadableJudgement:
        return None
