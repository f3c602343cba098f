"""An audit of the preference stores, as Markdown for people and as JSON values."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from preferences.store.audit import CONFIDENCE, Audit
from view.markdown import text
from view.templating import render


def audit_data(audits: Sequence[Audit]) -> list[dict[str, Any]]:
    """The figures as plain JSON values."""
    return [
        asdict(audit) | {"warnings": list(audit.warnings), "length_share": audit.length.share if audit.length else None}
        for audit in audits
    ]


def audit_markdown(audits: Sequence[Audit], folder: str) -> str:
    """For each store that has rows: what it holds, then warnings, then the figures."""
    with_rows = [audit for audit in audits if audit.rows]
    if not with_rows:
        return f"{text(folder)} holds no rows yet; see nightlane pairs import --help"
    return render("audit", audits=with_rows, folder=folder, confidence=CONFIDENCE).rstrip("\n")
