"""A scripted language model behind a real HTTP server on loopback, for tests and demonstrations.

    python -m testing.scripted_endpoint.server REPLIES.jsonl [--port N]

prints the environment variables that make nightlane use it, and serves until Ctrl-C. In tests:

    with ScriptedEndpoint([{"content": "..."}]) as endpoint:
        endpoint.base_url, endpoint.requests

It has OpenAI's chat and text completions: GET /v1/models, POST /v1/chat/completions and POST /v1/completions. Every
completion takes the next reply of the script (testing/scripted_endpoint/replies.py has the forms), also when a client
retries by itself. As with vLLM, adapters can be loaded and unloaded while it runs (adapters.py).
"""

import argparse
import contextlib
import json
import random
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
from typing import Any, Self

from common.errors import BadInput, NightlaneError
from common.printable import print_data, print_message
from testing.scripted_endpoint.adapters import LOAD, UNLOAD, ScriptedAdapters
from testing.scripted_endpoint.faults import FAULTS, meets_fault, next_fault
from testing.scripted_endpoint.judge import ScriptedJudge, question_of, read_known
from testing.scripted_endpoint.replies import (
    ScriptedReply,
    answer,
    briefing,
    chat_completion,
    legal_moves,
    pick,
    read_script,
    text_completion,
)

MODEL = "scripted"
KEY = "scripted"


class ScriptedEndpoint:
    """Serves ``replies`` in order on 127.0.0.1; ``requests`` has the bodies of all requests for completions.

    ``key``: the only key that is not refused with 401; if it is empty, every key is accepted. ``refuses``: request
    parameters that are answered with the status ``refusal``, as by servers without "response_format" (vLLM 400,
    llama-cpp-python 500); such a request uses up no reply. ``lists_models=False``: the list of models is answered with
    404. ``seed``: for picks and judgements. ``faults`` counts the faults by name.
    """

    def __init__(
        self,
        replies: Iterable[ScriptedReply | Mapping[str, Any]] = (),
        *,
        port: int = 0,
        seed: int = 0,
        key: str = "",
        refuses: Iterable[str] = (),
        refusal: int = 400,
        lists_models: bool = True,
    ) -> None:
        self.replies = [ScriptedReply.model_validate(reply) for reply in replies]
        self.key, self.refuses, self.lists_models = key, tuple(refuses), lists_models
        self.refusal = refusal
        self.requests: list[dict[str, Any]] = []
        self.adapters = ScriptedAdapters(MODEL)
        self.stopping = threading.Event()
        self.faults: Counter[str] = Counter()
        self._questions: set[str] = set()
        self._next = 0
        self._lock = threading.Lock()
        self._seed = seed
        self._server = _LoopbackServer(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make the openai client use this endpoint."""
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
        """Start another script."""
        with self._lock:
            self.replies, self._next = [ScriptedReply.model_validate(reply) for reply in replies], 0

    def take(self, request: dict[str, Any]) -> tuple[int, ScriptedReply]:
        """The number of this request and its reply."""
        with self._lock:
            self.requests.append(request)
            number, self._next = self._next, self._next + 1
        reply = ScriptedReply(status=503, headers={"x-should-retry": "false"})
        if number < len(self.replies):
            reply = self.replies[number]
        elif self.replies and self.replies[-1].repeats:
            reply = self.replies[-1]
        if reply.judge is not None and "messages" in request:
            reply = self._judge(reply, request)
        return number, reply

    def _judge(self, script: ScriptedReply, request: dict[str, Any]) -> ScriptedReply:
        """A judgement, or a fault in place of the first reply to a question."""
        judge = ScriptedJudge(script.judge or "hash", self._seed, read_known(script.known), script.shift)
        text, question = judge.reply(request), question_of(request)
        judgement = ScriptedReply(content=text, delay=script.delay)
        if question is None:
            return ScriptedReply(pick="legal") if legal_moves(briefing(request)) else judgement
        with self._lock:
            first = question not in self._questions
            self._questions.add(question)
            if not first or not meets_fault(question, script.faults, self._seed):
                return judgement
            fault = next_fault(self.faults)
            self.faults[fault] += 1
        return ScriptedReply(**FAULTS[fault](text))

    def refused(self, request: dict[str, Any]) -> str | None:
        """A parameter of the request that this endpoint refuses; the request is recorded nevertheless."""
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


class _LoopbackServer(ThreadingHTTPServer):
    """A server on loopback that ignores clients which disconnect."""

    daemon_threads = True

    def __init__(self, endpoint: ScriptedEndpoint, port: int) -> None:
        self.endpoint = endpoint
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def drop_connections(self) -> None:
        """Close the connections that clients keep alive."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _LoopbackServer
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True  # otherwise the body waits 40 ms for the acknowledgement of the headers

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
            self._error(400, "the body is not a JSON object")
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
            self._error(endpoint.refusal, f"the parameter {unknown!r} is not supported")
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
            completion = text_completion if self.path == "/v1/completions" else chat_completion
            self._send(200, completion(number, request, text, reply.finish_reason), reply.headers)

    def _authorised(self) -> bool:
        key = self.server.endpoint.key
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self._error(401, "the API key is not the one that this endpoint accepts")
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
        """Log nothing, so that tests have only their own output."""


def serve(script: Path, port: int, seed: int, refuses: Iterable[str], refusal: int = 400) -> None:
    """Print the environment variables for nightlane, and serve until Ctrl-C."""
    replies = read_script(script)
    try:
        endpoint = ScriptedEndpoint(replies, port=port, seed=seed, refuses=refuses, refusal=refusal)
    except (OSError, OverflowError):
        raise BadInput(f"port {port} of 127.0.0.1 cannot be used; give another with --port, or none") from None
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
    parser.add_argument("--refuse", action="append", default=[], metavar="NAME", help="refuse this parameter")
    parser.add_argument("--refusal", type=int, default=400, metavar="STATUS", help="the status of a refusal")
    options = parser.parse_args(arguments)
    try:
        serve(options.script, options.port, options.seed, options.refuse, options.refusal)
    except NightlaneError as error:
        print_message(f"scripted_endpoint: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
