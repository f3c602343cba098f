"""The notices of a session that were sent: session-ID/notices.json, so that a resumed session does not send them again.
If the file is lost, they are sent twice."""

import json
from contextlib import suppress
from pathlib import Path

from agent.ledger.overview import LedgerOverview
from agent.workspace.folder import Workspace
from common.files import write_unsynced

FILE = "notices.json"


def last_log_line(workspace: Workspace, session: str) -> tuple[str, str]:
    """A name for the end of the process that ran a session last, and the last line that it wrote."""
    with LedgerOverview(workspace.ledger, read_only=True) as ledger:
        [(time, text), *_] = ledger.last_notes(session, 1) or [("", "")]
    return f"gone after {time}", text


def sent_notices(session: Path) -> set[str]:
    try:
        found = json.loads((session / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()


def mark_sent(session: Path, name: str) -> None:
    with suppress(OSError):
        write_unsynced(session / FILE, json.dumps(sorted(sent_notices(session) | {name})))
