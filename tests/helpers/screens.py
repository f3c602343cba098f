"""The screen of nightlane watch, without a terminal."""

import asyncio
import html
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from textual.pilot import Pilot

from agent.ledger.store import Ledger
from agent.loop.in_flight import FILE
from agent.workspace.folder import Workspace
from probes.run.protocol import WorkerStatus
from view.watch.app import WatchApp

TIMEOUT = 60.0
"""Seconds: other tests use the processor too."""
Look = Callable[["Screen"], Awaitable[None]]


class Screen:
    def __init__(self, app: WatchApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def text(self) -> str:
        """What a person reads, with single spaces."""
        svg = self.app.export_screenshot(simplify=True)
        found = "".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
        return " ".join(html.unescape(found).split())

    async def until(self, *texts: str, without: str = "\0") -> str:
        """The text of the screen, once it shows all of ``texts`` and not ``without``."""
        ends = time.monotonic() + TIMEOUT
        while not all(one in self.text for one in texts) or without in self.text:
            assert time.monotonic() < ends, f"{texts} is not all of\n{self.text}"
            await self.pilot.pause(0.05)
        return self.text


def watched(workspace: Workspace, look: Look, size: tuple[int, int] = (140, 45)) -> WatchApp:
    """Run the app until ``look`` has returned; returns the closed app."""
    app = WatchApp(workspace)

    async def drive() -> None:
        async with app.run_test(size=size) as pilot:
            await look(Screen(app, pilot))

    asyncio.run(drive())
    return app


def flying(
    workspace: Workspace,
    *probes: Mapping[str, Any],
    title: str = "wave 1",
    workers: Sequence[WorkerStatus] = (),
) -> None:
    """Write the state file of the process that holds the workspace, with the given fields of each probe in flight."""
    now = time.time()
    usual = {"id": "p", "seed": 7, "phase": "training", "step": 5, "steps": 20, "loss": 0.5}
    times = {"phase_began": now, "seen": now, "seconds_per_step": 3600.0}
    batch = {
        "process": workspace.holder(),
        "title": title,
        "probes": [{**usual, **times, **probe} for probe in probes],
        "workers": [asdict(worker) for worker in workers],
        "waiting": 2,
        "done": 1,
        "typical": None,
    }
    (session_folder(workspace) / FILE).write_text(json.dumps(batch), encoding="utf-8")


def trained(workspace: Workspace, probe: str, losses: Sequence[float]) -> None:
    """Give a probe the curve of its training so far."""
    folder = workspace.runs / f"probe-{probe}"
    folder.mkdir(exist_ok=True)
    rows = [json.dumps({"step": step, "loss": loss}) for step, loss in enumerate(losses, 1)]
    (folder / "train.jsonl").write_text("\n".join(rows) + '\n{"step": 99', encoding="utf-8")


def session_folder(workspace: Workspace) -> Any:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        found = ledger.session()
    assert found is not None
    return workspace.session(found.id)
