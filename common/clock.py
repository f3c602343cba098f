"""The format of time in the ledger, the log and the stores."""

from datetime import UTC, datetime


def now() -> str:
    """ISO-8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
