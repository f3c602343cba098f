"""The reports of a session, as doctor sees them."""

from pathlib import Path

import nights

from agent.workspace.check import check
from agent.workspace.folder import Workspace


def damaged(workspace: Workspace) -> list[str]:
    return [status.message for status in check(workspace) if not status.intact]


def test_a_page_that_cannot_be_read_is_found_and_a_session_of_an_older_version_needs_none(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=3)
    [page] = workspace.runs.glob("session-*/report.html")
    assert damaged(workspace) == []
    page.write_bytes(b"")
    [message] = damaged(workspace)
    assert "report.html cannot be read: nightlane report" in message
    page.unlink()
    assert damaged(workspace) == []
    page.with_name("report.md").unlink()
    [message] = damaged(workspace)
    assert "report.md cannot be read: nightlane report" in message
