"""Tells open pages what changes in a workspace, by server-sent events. One poller serves them all; it
runs only while a page is open."""

import asyncio
import json
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from agent.workspace.folder import Workspace
from common.errors import BadInput
from common.files import fingerprint, is_locked
from view.data.training.runs import run_folders

ADDRESS = "/events"
SECONDS = 1.0
SILENCE = 15.0
"""Seconds without a change after which a subscriber gets an empty event."""
TOPICS: Mapping[str, tuple[str, ...]] = {
    "decisions": ("ledger.sqlite", "ledger.sqlite-wal"),
    "probes": ("session-*/in_flight.json", "lock"),
    "training": (
        *(
            f"{place}/{name}"
            for place in ("finetune-*", "../*")
            for name in ("run.json", "train.jsonl", "finetune.json")
        ),
        "session-*/in_flight.json",
    ),
    "pairs": ("rl_data/*.jsonl",),
}
"""The topics that a page may subscribe to, each with its files under runs/."""


class Changes:
    """Tells every subscriber which topics changed, at most once a second."""

    def __init__(self, workspace: Workspace, topics: Mapping[str, tuple[str, ...]] = TOPICS) -> None:
        self._workspace, self._topics = workspace, topics
        self._subscribers: set[asyncio.Queue[list[str] | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poller: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()

    async def subscribe(self) -> AsyncIterator[list[str]]:
        """The topics that changed, each time that some did; an empty list if nothing changed for a while. The first
        list is empty, too: after it no change is missed. Ends with ``end``."""
        queue: asyncio.Queue[list[str] | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._subscribers.add(queue)
        if self._poller is None:
            self._looked = asyncio.Event()
            self._poller = asyncio.create_task(self._poll(self._looked))
        try:
            await self._looked.wait()
            yield []
            while True:
                try:
                    topics = await asyncio.wait_for(queue.get(), SILENCE)
                except TimeoutError:
                    topics = []
                if topics is None:
                    return
                yield topics
        finally:
            self._subscribers.discard(queue)
            if not self._subscribers and self._poller:
                self._poller.cancel()
                self._poller = None

    def end(self) -> None:
        """End every subscription; may be called from any thread or signal handler."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._tell, None)

    def _tell(self, topics: list[str] | None) -> None:
        for queue in self._subscribers:
            queue.put_nowait(topics)

    async def _poll(self, looked: asyncio.Event) -> None:
        before = await asyncio.to_thread(self.seen)
        looked.set()
        while True:
            await asyncio.sleep(SECONDS)
            now = await asyncio.to_thread(self.seen)
            if changed := [topic for topic in now if now[topic] != before[topic]]:
                self._tell(changed)
            before = now

    def seen(self) -> dict[str, Hashable]:
        """The present state of each topic's files. It includes which session and which full-length runs have a process,
        since a process that is killed changes no file."""
        runs, holder = self._workspace.runs, None
        with suppress(BadInput):  # the pages themselves say that the user may not read it
            holder = self._workspace.holder()
        trained = tuple(str(folder) for folder in run_folders(self._workspace) if is_locked(folder))
        return {
            topic: (holder, trained, fingerprint(path for pattern in patterns for path in sorted(runs.glob(pattern))))
            for topic, patterns in self._topics.items()
        }


async def events(request: Request) -> StreamingResponse:
    changes = request.app.state.site.changes

    async def lines() -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        async for topics in changes.subscribe():
            yield f"event: {'change' if topics else 'quiet'}\ndata: {json.dumps(topics)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


routes = (Route(ADDRESS, events),)
