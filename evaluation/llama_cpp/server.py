"""A llama-server of this machine, for as long as a block lasts. It gets token ids, as training saw them."""

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import NightlaneError
from common.parallel import cores
from evaluation.llama_cpp.tools import SERVER, LlamaCpp
from probes.generate.random_keys import Sampling, request_seed
from probes.generate.sampled_text import FinishReason
from probes.rendering.renderer import AnswerEnds, RenderedPrompt

START_SECONDS, REPLY_SECONDS = 600.0, 600.0
ORDER = ("temperature", "top_k", "top_p")
"""Of the samplers, as probes/generate/sampler.py applies them."""
FINISH: dict[str, FinishReason] = {"eos": "stop", "word": "stop", "limit": "length"}
"""llama-server's names for why an answer ended."""


@dataclass(frozen=True)
class LlamaServer:
    """``adapted``: whether it was started with an adapter, which each request switches on or off."""

    url: str
    adapted: bool = False

    def answer(
        self, question: RenderedPrompt, sampling: Sampling, sample: int, stop: AnswerEnds
    ) -> tuple[list[int], FinishReason]:
        """The ids of one answer, and why it ended."""
        reply = self._post(
            "/completion",
            {
                "prompt": list(question.ids),
                "n_predict": sampling.max_new_tokens,
                "temperature": sampling.temperature,
                "top_k": sampling.top_k,
                "top_p": sampling.top_p,
                "min_p": 0.0,
                "samplers": list(ORDER),
                "seed": request_seed(sampling.seed, question.text, sample) % 2**32,
                "stop": list(stop.texts),
                **self._common(1.0),
            },
        )
        ids = [int(one) for one in reply["tokens"]]
        return ids, FINISH[reply["stop_type"]]

    def next_token(self, ids: Sequence[int], most: int, adapter: bool) -> dict[int, float]:
        """The log-probabilities of the ``most`` likeliest next tokens."""
        asked = {"prompt": list(ids), "n_predict": 1, "n_probs": most, "temperature": -1.0}
        reply = self._post("/completion", asked | self._common(float(adapter)))
        found = reply["completion_probabilities"][0]["top_logprobs"]
        return {int(one["id"]): float(one["logprob"]) for one in found}

    def chat_ids(self, text: str) -> list[int]:
        """The ids of a user's turn by the server's own chat template and tokenizer."""
        rendered = self._post("/apply-template", {"messages": [{"role": "user", "content": text}]})["prompt"]
        asked = {"content": rendered, "add_special": True, "parse_special": True}
        return [int(one) for one in self._post("/tokenize", asked)["tokens"]]

    def _common(self, scale: float) -> dict[str, Any]:
        lora = {"lora": [{"id": 0, "scale": scale}]} if self.adapted else {}
        return {"cache_prompt": False, "return_tokens": True, "repeat_penalty": 1.0, **lora}

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        """NightlaneError if the server refuses or is gone."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=REPLY_SECONDS) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise NightlaneError(f"llama-server refused {path} ({error.code}: {said}); try a newer llama.cpp") from None
        except (OSError, ValueError) as error:
            raise NightlaneError(f"llama-server did not answer {path} ({error}); see its log, or try again") from None


@contextmanager
def serving(
    tools: LlamaCpp, model: Path, log: Path, *, adapter: Path | None = None, context: int = 2048, slots: int = 1
) -> Iterator[LlamaServer]:
    """Start a server with a model and wait for it; ``context``: positions of each of its ``slots``.

    NightlaneError with the last line of its ``log`` if it does not start.
    """
    tools.need(SERVER)
    port = _free_port()
    command = [str(tools.find(SERVER)), "--model", str(model), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--ctx-size", str(context * slots), "--parallel", str(slots), "--jinja"]
    command += ["--threads", str(cores())]  # its own default is half of them where each has two threads
    if adapter is not None:
        command += ["--lora", str(adapter)]
    with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
        try:
            server = LlamaServer(f"http://127.0.0.1:{port}", adapter is not None)
            _wait(server, process, log)
            yield server
        finally:
            process.kill()


def _wait(server: LlamaServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(server):
        code = process.poll()
        if code is not None or time.monotonic() > deadline:
            why = f"was not ready after {START_SECONDS:.0f} s" if code is None else _ending(code)
            raise NightlaneError(
                f"llama-server {why} (its last line: {_last_line(log)}); check that its build fits this processor and "
                "knows this model"
            )
        time.sleep(0.2)


def _ending(code: int) -> str:
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "none"


def _is_ready(server: LlamaServer) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
