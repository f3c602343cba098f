"""The judge: answers scored by a language model with a rubric. It marks components; the overall is computed here.

OPENAI_BASE_URL and OPENAI_API_KEY say where it is. Each judgement is asked for once, whatever happens: it is kept on
disk by what was asked. An endpoint that is down is waited for; an answer that cannot be judged has no score.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from lanes.errors import BadInput
from probes.prompts import Prompt
from probes.scoring.judge_cache import JudgeCache, cache_key
from probes.scoring.judge_patience import Patience
from probes.scoring.judge_question import system_message, user_message
from probes.scoring.judgement import Judgement, Unreadable, judgement_of, marked
from probes.scoring.protocol import Answer, Mark, Missing
from probes.scoring.rubric import load_rubric
from probes.settings import ScorerSettings

if TYPE_CHECKING:
    from probes.scoring.judge_client import Spent

VERSION = 1  # of how a judge is asked, besides the messages themselves


def _or_from_environment(model: str) -> str:
    return model or os.environ.get("OPENAI_JUDGE_MODEL") or os.environ.get("OPENAI_MODEL") or ""


class JudgeSettings(ScorerSettings):
    """``[scorer] kind = "judge"``. What cannot change a judgement is left out of a dump, so no digest has it.

    ``model``: where the study names none, OPENAI_JUDGE_MODEL or OPENAI_MODEL, read with the study: it decides a score,
    so it is a part of the probe key. ``passes``: judgements per answer. ``timeout``: seconds per call. ``patience``:
    seconds to wait for an endpoint that is down. ``cache``: a folder, relative to the study.
    """

    kind: str = "judge"
    rubric: str = Field("rubric.toml", min_length=1)
    model: Annotated[str, AfterValidator(_or_from_environment)] = Field("", validate_default=True)
    passes: int = Field(1, ge=1, le=20)
    max_tokens: int = Field(512, ge=16)
    concurrency: int = Field(8, ge=1, le=256, exclude=True)
    timeout: float = Field(60.0, gt=0, le=3600, exclude=True)
    patience: float = Field(3600.0, ge=0, exclude=True)
    cache: str = Field("judge-cache", min_length=1, exclude=True)
    dollars_per_million_input: float = Field(0.0, ge=0, exclude=True)
    dollars_per_million_output: float = Field(0.0, ge=0, exclude=True)


Question = tuple[str, int]
"""The user's message to the judge, and the number of the pass. Equal answers to a prompt are one question."""


class JudgeScorer:
    """Weighted components of a rubric, each answer judged ``passes`` times. Outcome words: JUDGED, CRITICAL.

    EndpointUnavailable when the endpoint takes the key or the model no more, at the start or later.
    """

    kind: ClassVar[str] = "judge"
    Settings: ClassVar[type[ScorerSettings]] = JudgeSettings

    def __init__(
        self, settings: JudgeSettings, folder: Path = Path(), environment: Mapping[str, str] | None = None
    ) -> None:
        # Imported here: the openai client takes a second or more, which commands that only read a study need not wait.
        from probes.endpoint import Endpoint, EndpointSettings
        from probes.scoring.judge_client import JudgeClient

        self._settings, self.rubric = settings, load_rubric(folder / settings.rubric)
        asked = EndpointSettings(
            settings.timeout, settings.max_tokens, 0.0, settings.dollars_per_million_input,
            settings.dollars_per_million_output, ", or model under [scorer]",
        )  # fmt: skip
        endpoint = Endpoint(asked, settings.model, os.environ if environment is None else environment)
        self._system = system_message(self.rubric)
        self._client = JudgeClient(endpoint, self.rubric, settings.max_tokens)
        doubt = self._client.look()
        self._about = f"judge: {settings.model} at {endpoint.url}" + (f"; {doubt}" if doubt else "")
        self._cache = JudgeCache(folder / Path(settings.cache).expanduser())

    @property
    def about(self) -> str:
        """The model and where it is asked, and whether it answered at the start."""
        return self._about

    @property
    def spent(self) -> "Spent":
        """What this scorer took so far."""
        return self._client.spent

    @staticmethod
    def files(settings: JudgeSettings, folder: Path) -> Sequence[Path]:
        return (folder / settings.rubric,)

    @staticmethod
    def check(settings: JudgeSettings, folder: Path, prompts: Sequence[Prompt]) -> None:
        if not settings.model:
            raise BadInput(
                "[scorer] model is missing; name the judge's model there, or in OPENAI_JUDGE_MODEL or OPENAI_MODEL"
            )
        path = folder / settings.rubric
        known = load_rubric(path).categories
        for prompt in prompts:
            if known and prompt.category not in known:
                raise BadInput(
                    f"{path} has no word on the category {prompt.category!r} of prompt {prompt.id!r}; add it under "
                    "[categories] (it may be an empty text)"
                )

    def score(self, answers: Sequence[Answer]) -> list[Mark | Missing]:
        asked = [user_message(self.rubric, answer.prompt, answer.text) for answer in answers]
        passes = range(self._settings.passes)
        found = self._judged([(text, number) for text in dict.fromkeys(asked) for number in passes])
        marks = {text: marked([found[text, number] for number in passes], self.rubric) for text in set(asked)}
        return [marks[text] for text in asked]

    def close(self) -> None:
        self._cache.close()

    def _judged(self, questions: Sequence[Question]) -> dict[Question, Judgement | Missing]:
        """From the cache where it has them, else from the judge, several at once."""
        found: dict[Question, Judgement | Missing] = {}
        for question in questions:
            if (kept := self._kept(question)) is not None:
                found[question] = kept
        self._client.count_hits(len(found))
        if todo := [question for question in questions if question not in found]:
            found |= self._ask_all(todo)
        return found

    def _ask_all(self, questions: Sequence[Question]) -> dict[Question, Judgement | Missing]:
        patience = Patience(self._settings.patience)
        with ThreadPoolExecutor(min(self._settings.concurrency, len(questions)), "judge") as pool:
            futures = {pool.submit(self._judge, question, patience): question for question in questions}
            try:
                return {futures[future]: future.result() for future in as_completed(futures)}
            except BaseException as error:
                patience.give_up(str(error))  # else those that wait would wait on
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _judge(self, question: Question, patience: Patience) -> Judgement | Missing:
        """One judgement, kept on disk once it is read. What the cache has then counts: another worker's, if faster."""
        reply = self._client.judge(self._messages(question), patience)
        if isinstance(reply, Missing):
            return reply
        judgement, cost = reply
        data = {
            "components": dict(judgement.marks), "critical_failures": list(judgement.critical),
            "overall": judgement.overall, "note": judgement.note, "prompt_tokens": cost.prompt_tokens,
            "completion_tokens": cost.completion_tokens, "dollars": cost.dollars,
        }  # fmt: skip
        kept = self._cache.put(self._key(question), data, lambda found: self._usable(found) is not None)
        return self._usable(kept) or judgement

    def _messages(self, question: Question) -> list[Mapping[str, str]]:
        return [{"role": "system", "content": self._system}, {"role": "user", "content": question[0]}]

    def _key(self, question: Question) -> bytes:
        """Of what the judge is asked, word for word: rubric, prompt and answer are in the messages."""
        return cache_key(VERSION, self._settings.model, self._messages(question), question[1])

    def _kept(self, question: Question) -> Judgement | None:
        return self._usable(self._cache.get(self._key(question)))

    def _usable(self, data: object) -> Judgement | None:
        try:
            return judgement_of(data, self.rubric)
        except Unreadable:
            return None
