"""The session report: what the colleague reads in the morning, as Markdown and as data.

``nightlane report [SESSION]`` writes it again from the ledger and the probe directories.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.workspace.folder import Workspace
from common.files import write_durably
from common.printable import printable
from view.data.session_figures import gather
from view.data.session_record import SessionRecord, load_record
from view.report.check_sections import at_the_end, calibration, error_budget
from view.report.decision_sections import crashes, critical, discarded, guards, kept, sensitivity
from view.report.noise_sections import noise
from view.report.session_sections import cost, go_on, harvest, how_to_read, judge, outcomes, question, searched
from view.report.summary import summary
from view.report.survey_section import surveyed

SECTIONS = (
    summary, kept, at_the_end, discarded, crashes, how_to_read, question, calibration, error_budget, searched,
    sensitivity, guards, critical, noise, surveyed, judge, outcomes, harvest, cost, go_on,
)  # fmt: skip


def report_markdown(record: SessionRecord) -> str:
    """The report, the summary first; a section with nothing to say is left out."""
    found = gather(record)
    sections = (section(found) for section in SECTIONS)
    return "\n\n".join("\n".join(lines).strip() for lines in sections if lines) + "\n"


def report_data(record: SessionRecord) -> dict[str, Any]:
    """The same figures as plain JSON values."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(gather(record)), allow_nan=False))
    return data


def write_report(workspace: Workspace, session_id: str) -> Path:
    """Write report.md, and recipe.toml with the recipe that stands, into the session's folder; the report's path."""
    record = load_record(workspace, session_id)
    folder = workspace.session(record.session.id)
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / "recipe.toml", record.incumbent.to_toml())
    write_durably(folder / "report.md", printable(report_markdown(record)))
    return folder / "report.md"
