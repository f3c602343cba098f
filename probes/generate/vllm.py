"""Answers from a vLLM server that holds the base model: the trained adapter is loaded there for the time of a probe.

The server speaks OpenAI's API and loads LoRA adapters while it runs; nothing is merged. It gets the token ids of the
question, as training saw them, and completes them. A chat request would be rendered by the server's own template, which
[model] cannot set, and a text would be tokenised again.

The server is that of OPENAI_ANSWERS_BASE_URL and OPENAI_ANSWERS_API_KEY, or else of OPENAI_BASE_URL and OPENAI_API_KEY.
A probe waits for a server that is down. If an answer is missing, the probe is a failure.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from common.digests import folder_digest
from common.errors import EndpointUnavailable
from probes.endpoint.client import Endpoint, EndpointSettings, role_environment
from probes.endpoint.no_reply import NoReply
from probes.endpoint.retry import Backoff, run_concurrently, to_log
from probes.endpoint.trial import Trial, failed_trial, first_line
from probes.generate.random_keys import Sampling, request_seed
from probes.generate.repeated_answers import same_answers
from probes.generate.sampled_text import SampledText
from probes.inputs.settings import ServingSettings
from probes.rendering.renderer import AnswerEnds, RenderedPrompt

T = TypeVar("T")
Request = tuple[Mapping[str, Any], Mapping[str, Any]]
"""The options of the openai client, and the extra fields of the request."""
ATTEMPTS = 2  # at a request whose replies are no completions
FAILURES_BEFORE_CHECK = 5  # after this many failures of one request, the server gets another one as a check
FINAL_ATTEMPT = 1000  # the count of failures is set to this when only one more attempt is left


class ServerBroken(Exception):
    """The server gave no answer; the probe is retried."""


class ServerRefused(Exception):
    """The server refuses the request for good: the adapter's rank is too large or a prompt too long, say."""


@dataclass(frozen=True, slots=True)
class ServedAdapter:
    """An adapter as the server knows it. The name contains the probe and a digest of the weights: vLLM caches prompts
    by the adapter's name, so other weights under the same name would get wrong cached results."""

    probe: str
    name: str
    path: str


class AnswerServer:
    """Gets a probe's answers from the server of ``[serving]``. EndpointUnavailable if it can answer no probe."""

    def __init__(
        self, settings: ServingSettings, environment: Mapping[str, str] | None = None, wait: float | None = None
    ) -> None:
        remedy = ", or OPENAI_ANSWERS_BASE_URL and OPENAI_ANSWERS_API_KEY"
        asked = EndpointSettings(
            timeout=settings.timeout, late_remedy="raise timeout or lower concurrency under [serving]", remedy=remedy
        )
        where = server_environment(os.environ if environment is None else environment)
        self._settings, self._wait = settings, wait
        self._endpoint = Endpoint(asked, settings.model, where)
        self._loading = threading.Lock()
        doubt = self._ping()
        self.about = f"answers: {settings.model} at {self._endpoint.url}" + (f"; {doubt}" if doubt else "")

    def close(self) -> None:
        self._endpoint.close()

    def answers(
        self,
        probe: str,
        adapter: Path,
        questions: Sequence[RenderedPrompt],
        stop: AnswerEnds,
        sampling: Sampling,
        note: Callable[[str], None] = to_log,
    ) -> list[list[SampledText]]:
        """``sampling.samples`` answers for each question, indexed [question][sample]. ``note``: gets a line while it
        waits. ServerBroken or ServerRefused when an answer is missing.
        """
        served = self._named(probe, adapter)
        backoff = Backoff(self._settings.patience, note, self._wait, "the server of the answers")
        with self._loaded(served, backoff):
            return self._ask_all(served, questions, stop, sampling, backoff)

    def try_once(self, questions: Sequence[str | tuple[int, ...]], stop: AnswerEnds) -> Trial:
        """Have the base answer some questions greedily, without an adapter, one by one and all at once. Different
        answers are a failure if the study sets ``batch_invariant``. ``questions``: texts, or the ids of their tokens.
        """
        said: list[str] = []
        asked = request(GREEDY, 0, stop)

        def ask(question: str | tuple[int, ...]) -> str:
            given = question if isinstance(question, str) else list(question)
            completion = self._endpoint.complete(self._settings.model, given, *asked)
            said.append(completion.text)
            return completion.text

        began = time.monotonic()
        try:
            ask(questions[0])
            seconds = time.monotonic() - began
            same, compared = same_answers(ask, questions)
        except NoReply as error:
            why = self._unavailable(error.why, error.remedy or KEY_OR_URL)
            return failed_trial("answers", self._endpoint, str(why), time.monotonic() - began)
        repeated = _repeated(same, compared)
        if self._settings.batch_invariant and same < compared:
            return failed_trial("answers", self._endpoint, str(self._unavailable(repeated, INVARIANT)), seconds)
        return Trial(
            role="answers",
            model=self._settings.model,
            url=self._endpoint.url,
            seconds=seconds,
            said=first_line(said[0]),
            repeated=repeated,
        )

    def _ping(self) -> str:
        """Why the server does not answer now; "" when it does. EndpointUnavailable if it is unfit."""
        try:
            listed = self._endpoint.names()
        except NoReply as error:
            if error.temporary:
                return f"it gave no reply yet ({error})"
            raise self._unavailable(str(error), KEY_OR_URL) from None
        if self._settings.model not in listed:
            shown = ", ".join(listed)[:200]
            raise self._unavailable(
                f"it lists {shown} and not {self._settings.model!r}", "correct model under [serving]"
            )
        try:
            self._endpoint.post("/unload_lora_adapter", {"lora_name": ""})  # the call exists if this is refused
        except NoReply as error:
            if error.status == 404:
                raise self._unavailable(str(error), NO_LOADING) from None
        return ""

    def _named(self, probe: str, adapter: Path) -> ServedAdapter:
        here, there = adapter.resolve(), self._settings.adapters
        path = str(PurePosixPath(there) / here.parent.name / here.name) if there else str(here)
        return ServedAdapter(probe, f"{probe}-{folder_digest(sorted(here.iterdir()))[:8]}", path)

    @contextmanager
    def _loaded(self, adapter: ServedAdapter, backoff: Backoff) -> Iterator[None]:
        """Load the adapter, after unloading what earlier attempts at this probe left; unload it at the end."""

        def load() -> None:
            for name in self._endpoint.names():
                if name.startswith(f"{adapter.probe}-"):
                    self._unload(name)
            self._load(adapter)

        try:
            self._with_backoff(load, backoff)
            yield
        finally:
            try:
                self._unload(adapter.name)
            except NoReply as error:
                to_log(f"the adapter {adapter.name} may have stayed loaded ({error})")

    def _load(self, adapter: ServedAdapter) -> None:
        """Load the adapter unless it is there. It must then be listed, else the server would answer without it."""
        with self._loading:
            if adapter.name in self._endpoint.names():
                return
            try:
                self._endpoint.post("/load_lora_adapter", {"lora_name": adapter.name, "lora_path": adapter.path})
            except NoReply as error:
                if error.status == 404:
                    raise self._unavailable(f"{error}; it was told to load {adapter.path}", NO_LOADING) from None
                if error.kind != "refused":
                    raise
                if adapter.name not in self._endpoint.names():  # it is there if the client sent the call twice
                    raise ServerRefused(f"the server did not load the adapter: {error}") from None
            listed = self._endpoint.names()
            if adapter.name not in listed:
                raise self._unavailable(f"it loaded {adapter.name} and lists {', '.join(listed)[:200]}", NO_LOADING)

    def _unload(self, name: str) -> None:
        try:
            self._endpoint.post("/unload_lora_adapter", {"lora_name": name})
        except NoReply as error:
            if error.status != 404:  # 404: it is not loaded
                raise

    def _ask_all(
        self,
        adapter: ServedAdapter,
        questions: Sequence[RenderedPrompt],
        stop: AnswerEnds,
        sampling: Sampling,
        backoff: Backoff,
    ) -> list[list[SampledText]]:
        rows = [(place, sample) for place in range(len(questions)) for sample in range(sampling.samples)]

        def ask(row: tuple[int, int]) -> SampledText:
            question, sample = questions[row[0]], row[1]
            asked = request(sampling, request_seed(sampling.seed, question.text, sample), stop)
            return self._ask(adapter, question, asked, backoff)

        sampled = run_concurrently(rows, ask, self._settings.concurrency, backoff, "answers")
        return [[sampled[place, sample] for sample in range(sampling.samples)] for place in range(len(questions))]

    def _ask(self, adapter: ServedAdapter, question: RenderedPrompt, asked: Request, backoff: Backoff) -> SampledText:
        """One answer. If the server was restarted, the adapter is loaded again."""

        def ask() -> SampledText:
            completion = self._endpoint.complete(adapter.name, list(question.ids), *asked)
            tokens = completion.completion_tokens if completion.counted else None
            return SampledText(completion.text, "length" if completion.cut_off else "stop", tokens)

        def ask_or_load() -> SampledText:
            try:
                return ask()
            except NoReply as error:
                if error.status != 404:
                    raise
                self._load(adapter)
                return ask()

        return self._with_backoff(ask_or_load, backoff)

    def _with_backoff(self, call: Callable[[], T], backoff: Backoff) -> T:
        """The result of a call, waiting while the server is down; EndpointUnavailable after too long."""
        failures = 0
        while True:
            backoff.pause()
            try:
                found = call()
            except NoReply as error:
                failures += error.kind != "busy"
                if self._wait_or_raise(error, failures, backoff):
                    failures = FINAL_ATTEMPT
            else:
                backoff.worked()
                return found

    def _wait_or_raise(self, error: NoReply, failures: int, backoff: Backoff) -> bool:
        """Return when the call may be made again: False after a pause, True at once and for the last time."""
        if error.kind == "denied":
            raise self._unavailable(str(error), KEY_OR_URL) from None
        if error.kind == "refused":
            raise ServerRefused(str(error)) from None
        if error.kind == "odd":
            if failures >= ATTEMPTS:
                raise ServerBroken(str(error)) from None
            return False
        if failures >= FAILURES_BEFORE_CHECK and self._answers_others():
            backoff.worked()
            if failures > FINAL_ATTEMPT:
                raise ServerBroken(f"the server answers other requests but not this one: {error}") from None
            return True  # it may have come back a moment ago
        backoff.failed(str(error), error.retry_after)
        return False

    def _answers_others(self) -> bool:
        """Whether the base without an adapter answers. If so, the server fails because of this request."""
        try:
            self._endpoint.complete(self._settings.model, "OK", {"max_tokens": 1}, {})
        except NoReply:
            return False
        return True

    def _unavailable(self, why: str, remedy: str) -> EndpointUnavailable:
        return EndpointUnavailable(f"the server of [serving] at {self._endpoint.url} cannot be used ({why}); {remedy}")


KEY_OR_URL = (
    "start it, correct OPENAI_ANSWERS_BASE_URL (it usually ends in /v1) and OPENAI_ANSWERS_API_KEY, or model under "
    "[serving]"
)
NO_LOADING = (
    "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True; if it has another path to the folder "
    "runs/, set adapters under [serving] to that path"
)

INVARIANT = "start vLLM with VLLM_BATCH_INVARIANT=1, or take batch_invariant out of [serving]"
GREEDY = Sampling(samples=1, temperature=0.0, max_new_tokens=32)


def _repeated(same: int, asked: int) -> str:
    return f"{same} of {asked} answers were the same one by one and all at once" if asked else ""


def request(sampling: Sampling, seed: int, stop: AnswerEnds) -> Request:
    """OpenAI's options and vLLM's own. All sampling options are given, since the server would take missing ones from
    the model's generation config."""
    options: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_new_tokens,
        "seed": seed,
    }
    if stop.texts:
        options["stop"] = list(stop.texts)
    extra = {
        "top_k": sampling.top_k or -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "stop_token_ids": list(stop.ids),
        "skip_special_tokens": False,
    }
    return options, extra


def server_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the server's address; EndpointUnavailable if none is set."""
    where = role_environment("ANSWERS", environment)
    if not where.get("OPENAI_BASE_URL"):
        raise EndpointUnavailable(
            '[serving] kind="endpoint" needs a server and OPENAI_ANSWERS_BASE_URL is not set; set it to the address of '
            "one (it usually ends in /v1)"
        )
    return where
