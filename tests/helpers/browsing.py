"""Debian's Chromium through Playwright, and the pages of a workspace as nightlane view serves them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, Request

from agent.workspace.folder import Workspace
from view.data.session_record import load_record
from view.server.app import HOST, PageServer, address_with, listening

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
SCRIPT = "</pre></script><script>document.title='broken'</script><img src=x onerror=alert(1)>"
TOKEN = "a-token"
TIMEOUT = 120_000
"""Milliseconds: other tests use the processor too."""


def chromium(playwright: Playwright) -> Browser:
    assert CHROMIUM is not None
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *QUIET])


@dataclass(frozen=True, slots=True)
class Served:
    """``root``: the address of the server; ``entrance``: the address with the token, as it is printed."""

    root: str
    entrance: str


@contextmanager
def served(workspace: Workspace) -> Iterator[Served]:
    """Serve the pages of a workspace on a free port, in a thread, until the block ends."""
    with listening(0) as socket:
        port = socket.getsockname()[1]
        server = PageServer(workspace, TOKEN, port)
        thread = Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield Served(f"http://{HOST}:{port}", address_with(TOKEN, port))
        finally:
            server.stop()
            thread.join(60)


@dataclass
class Watched:
    """A page of the browser, opened with the token, that records errors and requests to other hosts."""

    page: Page
    served: Served
    said: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(TIMEOUT)
        self.page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(self.served.entrance)

    def _request(self, request: Request) -> None:
        self.requested.append(request.url)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.served.root}{path}")

    def require_clean(self) -> None:
        """Require that no page so far had an error or asked another host."""
        assert self.said == []
        assert [url for url in self.requested if not url.startswith((self.served.root, "data:", "blob:"))] == []

    def serious_findings(self, *rules: str) -> list[str]:
        """Findings of axe-core on this page with serious or critical impact, by these rules, or by all if there are
        none."""
        options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
        found = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{one['id']}: {node['html'][:200]}"
            for one in found
            for node in one["nodes"]
            if one["impact"] in ("serious", "critical")
        ]

    @property
    def is_too_wide(self) -> bool:
        """A person has to scroll sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@contextmanager
def watched(browser: Browser, workspace: Workspace, width: int = 1440, scheme: str = "light") -> Iterator[Watched]:
    """The pages of a workspace in the browser; calls ``require_clean`` at the end."""
    with served(workspace) as at:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        try:
            page = Watched(context.new_page(), at)
            yield page
            page.require_clean()
        finally:
            context.close()


def pages_of(workspace: Workspace) -> list[str]:
    """Addresses of every kind of page, including the latest session and its last two decisions."""
    record = load_record(workspace, None)
    root = f"/sessions/{record.session.id}"
    numbers = [decision.id.removeprefix(f"{record.session.id}-") for decision in record.decisions[-2:]]
    own = ["", "/stacks", "/knobs", "/report", *(f"/decisions/{number}" for number in numbers)]
    stacks = [f"/stacks/{stack.number}" for stack in record.stacks[-1:]]
    stores = [f"/rl-data/{kind}" for kind in ("preference", "reward", "dpo", "orpo")]
    runs = [f"/training/runs/{folder.name}" for folder in sorted(workspace.runs.glob("probe-*"))[:1]]
    places = ["/sessions", "/reports", "/training", *runs, *stores]
    return [*places, *(f"{root}{page}" for page in (*own, *stacks))]


def added_curves(workspace: Workspace, steps: int = 40) -> None:
    """Give every probe a train.jsonl, which simulated ones do not have."""
    for place, folder in enumerate(sorted(Path(workspace.runs).glob("probe-*"))):
        rows = [
            {"step": step, "loss": 1.0 + place / 50 - step / (2 * steps), "token_accuracy": 0.5 + step / (4 * steps)}
            for step in range(1, steps + 1)
        ]
        (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
