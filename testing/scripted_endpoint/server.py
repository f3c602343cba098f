"""A scripted language model behind a real HTTP server on loopback, for tests and demonstrations.

    python -m testing.scripted_endpoint.server REPLIES.jsonl [--port N]

prints the line that points nightlane at it and serves until Ctrl-C. In tests:

    with ScriptedEndpoint([{"content": "..."}]) as endpoint:
        endpoint.base_url, endpoint.requests

It speaks OpenAI's chat and text completions: GET /v1/models, POST /v1/chat/completions and POST /v1/completions. Every
such POST takes the next reply, also one that the client sends again by itself. As at a vLLM, adapters can be loaded and
unloaded while it runs (testing/scripted_endpoint/adapters.py). A reply is a JSON object, one a line, with one of

    {"content": TEXT}                     the assistant's text; optional "finish_reason" ("length": cut off)
    {"pick": "legal"}                     one of the briefing's legal moves, by a seeded choice: needs no model
    {"judge": "hash"} or "words"          a judgement for the scorer "judge", computed from the request; also "known":
                                          a calibration file whose answers get the middle of their range; "shift": a
                                          share of the scale added to all marks; "faults": the share of questions whose
                                          first reply is one of the faults of faults.py beside this file; a proposer's
                                          request gets a legal move, as from "pick"
    {"answer": "words"}                   words that follow from model, prompt and seed
    {"status": 429, "headers": {...}}     an HTTP error with an OpenAI-style body
    {"raw": TEXT}                         a 200 with this body, whatever it is
    {"close": true}                       the connection is dropped

and optionally "delay" (seconds before it). A last "pick", "judge" or "answer" repeats for ever; any other script, once
used up, answers 503 without an invitation to try again, so that a test which asks once too often fails.
"""

import argparse
import contextlib
import json
import random
import re
import socket
import socketserver
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.proposers.prompt import MOVES_HEADING
from common.errors import BadInput, NightlaneError
from common.printable import print_data, print_message
from testing.scripted_endpoint.adapters import LOAD, UNLOAD, ScriptedAdapters, answer, text_completion
from testing.scripted_endpoint.faults import FAULTS, meets_fault, next_fault
from testing.scripted_endpoint.judge import JudgeRule, ScriptedJudge, question_of, read_known

MODEL = "scripted"
KEY = "scripted"


class ScriptedReply(BaseModel):
    """One line of a script: exactly one of content, pick, judge, answer, status, raw and close."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str | None = None
    pick: Literal["legal"] | None = None
    judge: JudgeRule | None = None
    known: str = ""
    shift: float = Field(0.0, ge=-1, le=1)
    faults: float = Field(0.0, ge=0, le=1)
    answer: Literal["words"] | None = None
    status: int | None = Field(None, ge=400, le=599)
    raw: str | None = None
    close: Literal[True] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    finish_reason: str = "stop"
    delay: float = Field(0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        kinds = ("content", "pick", "judge", "answer", "status", "raw", "close")
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a reply has one of {', '.join(kinds[:-1])} and {kinds[-1]}, and this has {len(given)}")
        return self


class ScriptedEndpoint:
    """Serves ``replies`` in order on 127.0.0.1; ``requests`` holds the bodies of the completions it was asked for.

    ``key``: any other key is refused with 401 (empty: every key will do). ``refuses``: request parameters answered with
    400, as servers do that know no "response_format"; such a request takes no reply. ``lists_models=False``: 404 for
    the list of models. ``seed`` is that of picks and judgements. ``faults`` counts those that were made, by name.
    """

    def __init__(
        self,
        replies: Iterable[ScriptedReply | Mapping[str, Any]] = (),
        *,
        port: int = 0,
        seed: int = 0,
        key: str = "",
        refuses: Iterable[str] = (),
        lists_models: bool = True,
    ) -> None:
        self.replies = [ScriptedReply.model_validate(reply) for reply in replies]
        self.key, self.refuses, self.lists_models = key, tuple(refuses), lists_models
        self.requests: list[dict[str, Any]] = []
        self.adapters = ScriptedAdapters(MODEL)
        self.stopping = threading.Event()
        self.faults: Counter[str] = Counter()
        self._questions: set[str] = set()
        self._taken = 0
        self._lock = threading.Lock()
        self._seed = seed
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """What points the openai client here."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.key or KEY, "OPENAI_MODEL": MODEL}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.drop_connections()
        self._server.server_close()
        self._thread.join()

    def restart(self, replies: Iterable[ScriptedReply | Mapping[str, Any]]) -> None:
        """Begin another script."""
        with self._lock:
            self.replies, self._taken = [ScriptedReply.model_validate(reply) for reply in replies], 0

    def take(self, request: dict[str, Any]) -> tuple[int, ScriptedReply]:
        """The number of this request and its reply."""
        with self._lock:
            self.requests.append(request)
            number, self._taken = self._taken, self._taken + 1
        reply = ScriptedReply(status=503, headers={"x-should-retry": "false"})
        if number < len(self.replies):
            reply = self.replies[number]
        elif self.replies and (self.replies[-1].pick or self.replies[-1].judge or self.replies[-1].answer):
            reply = self.replies[-1]
        return number, self._judged(reply, request) if reply.judge is not None and not _is_text(request) else reply

    def _judged(self, script: ScriptedReply, request: dict[str, Any]) -> ScriptedReply:
        """A judgement, or the fault that the first reply to this question has."""
        judge = ScriptedJudge(script.judge or "hash", self._seed, read_known(script.known), script.shift)
        text, question = judge.reply(request), question_of(request)
        plain = ScriptedReply(content=text, delay=script.delay)
        if question is None:
            return ScriptedReply(pick="legal") if legal_moves(briefing(request)) else plain
        with self._lock:
            first = question not in self._questions
            self._questions.add(question)
            if not first or not meets_fault(question, script.faults, self._seed):
                return plain
            fault = next_fault(self.faults)
            self.faults[fault] += 1
        return ScriptedReply(**FAULTS[fault](text))

    def refused(self, request: dict[str, Any]) -> str | None:
        """The parameter that this server does not know, if the request has one; it is recorded all the same."""
        name = next((name for name in self.refuses if name in request), None)
        if name is not None:
            with self._lock:
                self.requests.append(request)
        return name

    def text(self, number: int, reply: ScriptedReply, request: dict[str, Any]) -> str:
        if reply.content is not None:
            return reply.content
        if reply.answer is not None or "prompt" in request:
            return answer(request, self._seed)
        return pick(request, random.Random(f"{self._seed}|{number}"))


def _is_text(request: Mapping[str, Any]) -> bool:
    """A text completion: its model answers, and judges nothing."""
    return "messages" not in request


def pick(request: Mapping[str, Any], chance: random.Random) -> str:
    """A reply with one of the legal moves that the briefing in ``request`` lists; says so when there are none."""
    moves = legal_moves(briefing(request))
    if not moves:
        return "The briefing lists no legal moves."
    knob = chance.choice(sorted(moves))
    hypothesis = "a seeded choice among the legal moves, for a demonstration without a model"
    answer = {"knob": knob, "value": chance.choice(moves[knob]), "hypothesis": hypothesis, "predicted_delta": 0.0}
    return json.dumps(answer)


def briefing(request: Mapping[str, Any]) -> str:
    """What a proposer's request begins with."""
    said = [str(message.get("content")) for message in request.get("messages", []) if message.get("role") == "user"]
    return said[0] if said else ""


def legal_moves(text: str) -> dict[str, list[str]]:
    """Knob -> values as the briefing shows them. The last such section counts: a person's instructions come before."""
    section = text.rpartition(MOVES_HEADING + "\n")[2].partition("\n\n")[0]
    found = (re.fullmatch(r"- (.+?) \(now .*?\): (.+)", line) for line in section.splitlines())
    return {line[1]: line[2].split(", ") for line in found if line}


class _Server(ThreadingHTTPServer):
    """A server on loopback that keeps quiet about clients which went away."""

    daemon_threads = True

    def __init__(self, endpoint: ScriptedEndpoint, port: int) -> None:
        self.endpoint = endpoint
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Without the look-up of a host name that HTTPServer makes, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def drop_connections(self) -> None:
        """End the connections that clients keep alive: a server that was left answers nobody."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True  # else a reply's body waits 40 ms for the acknowledgement of its head

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        if not self._authorised():
            return
        if self.path == "/v1/models" and self.server.endpoint.lists_models:
            model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "nightlane"}
            self._send(200, {"object": "list", "data": [model, *self.server.endpoint.adapters.cards()]})
        else:
            self._error(404, f"there is no {self.path}")

    def do_POST(self) -> None:
        endpoint, body = self.server.endpoint, self._body()
        if not self._authorised():
            return
        if self.path not in ("/v1/chat/completions", "/v1/completions", LOAD, UNLOAD):
            self._error(404, f"there is no {self.path}")
            return
        if body is None:
            self._error(400, "the body is no JSON object")
            return
        if self.path in (LOAD, UNLOAD):
            status, text = endpoint.adapters.call(self.path, body)
            self._write(200, text.encode(), {}) if status == 200 else self._error(status, text)
            return
        if self.path == "/v1/completions" and not endpoint.adapters.knows(body.get("model")):
            self._error(404, f"The model {body.get('model')!r} does not exist.")
            return
        unknown = endpoint.refused(body)
        if unknown:
            self._error(400, f"the parameter {unknown!r} is not supported")
            return
        number, reply = endpoint.take(body)
        if endpoint.stopping.wait(reply.delay):
            self.close_connection = True
        else:
            self._reply(number, reply, body)

    def _reply(self, number: int, reply: ScriptedReply, request: dict[str, Any]) -> None:
        if reply.close:
            self.close_connection = True
        elif reply.status is not None:
            self._error(reply.status, f"scripted error {reply.status}", reply.headers)
        elif reply.raw is not None:
            self._write(200, reply.raw.encode(), {"Content-Type": "text/html", **reply.headers})
        else:
            text = self.server.endpoint.text(number, reply, request)
            completion = text_completion if self.path == "/v1/completions" else _completion
            self._send(200, completion(number, request, text, reply.finish_reason), reply.headers)

    def _authorised(self) -> bool:
        key = self.server.endpoint.key
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self._error(401, "the API key is not the one this endpoint takes")
            return False
        return True

    def _body(self) -> dict[str, Any] | None:
        try:
            data = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        except ValueError:
            return None
        return data if isinstance(data, dict) else None

    def _error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        error = {"message": message, "type": "scripted_error", "param": None, "code": None}
        self._send(status, {"error": error}, headers)

    def _send(self, status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._write(status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _write(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Nothing: a test's output is its own."""


def _completion(number: int, request: Mapping[str, Any], text: str, finish_reason: str) -> dict[str, Any]:
    """OpenAI's answer. Tokens are counted as words: nothing here has a tokenizer, and a price needs some count."""
    prompt = sum(len(str(message.get("content")).split()) for message in request.get("messages", []))
    words = len(text.split())
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": f"scripted-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model", MODEL),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt + words},
    }


def read_script(path: Path) -> list[ScriptedReply]:
    """The replies of a JSONL file; BadInput names the first line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{path} is no readable script; give a file with one reply as a JSON object a line") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise BadInput(f'{path} holds no reply; write one JSON object a line, {{"pick": "legal"}} say')
    return [_read_line(path, number, line) for number, line in numbered]


def _read_line(path: Path, number: int, line: str) -> ScriptedReply:
    try:
        return ScriptedReply.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        law = f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
        raise BadInput(
            f"{path}, line {number} is no reply ({law}); testing/scripted_endpoint/server.py has its forms"
        ) from None


def serve(script: Path, port: int, seed: int, refuses: Iterable[str]) -> None:
    """Print what points nightlane here and serve until Ctrl-C."""
    replies = read_script(script)
    try:
        endpoint = ScriptedEndpoint(replies, port=port, seed=seed, refuses=refuses)
    except (OSError, OverflowError):
        raise BadInput(f"port {port} of 127.0.0.1 cannot be had; give another with --port, or none") from None
    with endpoint:
        exports = " ".join(f"{name}={value}" for name, value in endpoint.environment.items())
        print_data(f"export {exports}")
        while True:
            time.sleep(3600)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m testing.scripted_endpoint.server", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("script", metavar="REPLIES.jsonl", type=Path, help="one reply as a JSON object a line")
    parser.add_argument("--port", type=int, default=0, help="default: one that is free")
    parser.add_argument("--seed", type=int, default=0, help="seed of picks and judgements")
    parser.add_argument("--refuse", action="append", default=[], metavar="NAME", help="answer this parameter with 400")
    given = parser.parse_args(arguments)
    try:
        serve(given.script, given.port, given.seed, given.refuse)
    except NightlaneError as error:
        print_message(f"scripted_endpoint: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
