"""The session report: what the colleague reads in the morning, as a page, as Markdown and as data.

``nightlane report [SESSION]`` writes it again from the ledger and the probe directories.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.workspace.folder import Workspace
from common.files import write_durably
from common.printable import printable
from common.redaction import unchanging_environment
from view.data.figures import SessionFigures
from view.data.session_figures import session_figures
from view.data.session_record import SessionRecord, load_record
from view.pages.session_report import report_page
from view.templating import render

PAGE = "report.html"


def report_markdown(record: SessionRecord) -> str:
    """The report, the summary first; a section with nothing to say is left out."""
    return _markdown(session_figures(record))


def _markdown(figures: SessionFigures) -> str:
    return render("report", figures=figures)


def report_data(record: SessionRecord) -> dict[str, Any]:
    """The same figures as plain JSON values."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(session_figures(record)), allow_nan=False))
    return data


@unchanging_environment()
def write_report(workspace: Workspace, session_id: str) -> Path:
    """Write report.md, the page report.html, and recipe.toml with the incumbent, into the session's folder; returns the
    path of report.md."""
    record = load_record(workspace, session_id)
    figures = session_figures(record)
    folder = workspace.session(record.session.id)
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / "recipe.toml", record.incumbent.to_toml())
    write_durably(folder / "report.md", printable(_markdown(figures)))
    write_durably(folder / PAGE, report_page(figures))
    return folder / "report.md"
