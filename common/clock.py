"""The format of time in the ledger, the log and the stores."""

from datetime import UTC, datetime
from pathlib import Path

FORM = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """ISO-8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime(FORM)


def written_at(path: Path) -> str:
    """When a file or folder was last written; "" for a missing one."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime(FORM)
    except OSError:
        return ""
