"""Checks the folders of sessions and of probes."""

import json
from collections.abc import Iterator
from pathlib import Path

from agent.workspace.check_ledger import LedgerContent
from agent.workspace.choices_file import choices_path, has_choices, stored_comparisons
from agent.workspace.file_status import (
    UNREADABLE,
    FileStatus,
    Repair,
    database_problem,
    is_json,
    setting_aside,
    setting_database_aside,
    together,
    writing,
)
from agent.workspace.folder import Workspace
from common.wording import count
from lanes import Recipe
from probes.result.reading import Failure, outcome_from_json
from probes.run.store import ADAPTER, ANSWERS, is_whole, read_manifest


def check_sessions(workspace: Workspace, content: LedgerContent) -> Iterator[FileStatus]:
    """The folder of each session of the ledger."""
    for session, (_, study) in sorted(content.studies.items()):
        folder = workspace.session(session)
        problems, repairs = list[str](), list[Repair]()
        if folder.exists() and _text(folder / "study.toml") != study:
            problems.append("study.toml is not the study that the ledger has")
            repairs.append(writing(folder / "study.toml", study))
        if session in content.finished:
            recipe = _recipe_digest(folder / "recipe.toml")
            if recipe not in content.recipes:
                state = "is a recipe that the ledger does not have" if recipe else "cannot be read"
                problems.append(f"recipe.toml {state}: nightlane report {session} writes it again")
            for report in ("report.md", "report.html"):
                is_of_older_version = report == "report.html" and not (folder / report).exists()
                if not is_of_older_version and not _text(folder / report):
                    problems.append(f"{report} cannot be read: nightlane report {session} writes it again")
            files = ("report.md", "report.html", "recipe.toml")
            repairs += [setting_aside(folder / file) for file in files if (folder / file).is_dir()]
        else:
            checkpoint = folder / "checkpoint.sqlite"
            if checkpoint.exists() and (why := database_problem(checkpoint)):
                problems.append(
                    f"checkpoint.sqlite is damaged ({why}): resume sets it aside and continues from the ledger"
                )
                repairs.append(setting_database_aside(checkpoint))
        stored = stored_comparisons(folder)
        gone = len(content.compared.get(session, frozenset()).difference(stored))
        altered = [path for name in stored if not has_choices(path := choices_path(folder, name))]
        told = f"the choices of {count(gone, 'comparison')} are gone"
        whole, remedy = "whole", "resume asks the judge again"
        if session in content.finished:
            remedy = "later sessions do not count them"
            whole += f"; {told}: {remedy}" if gone else ""
        elif gone:
            problems.append(f"{told}: {remedy}")
        if altered:
            names = ", ".join(path.name for path in altered[:3])
            problems.append(f"the choices of {count(len(altered), 'comparison')} are damaged ({names}): {remedy}")
            repairs += [setting_aside(path) for path in altered]
        yield FileStatus(str(folder), not problems, "; ".join(problems) or whole, together(repairs))


def check_probes(workspace: Workspace, content: LedgerContent) -> FileStatus:
    """The folders of all probes. A probe without an outcome was cut off and runs again when it is needed; if the ledger
    has a reading of it, its folder is damaged."""
    damaged, cut_off = list[Path](), 0
    folders = {path.name.removeprefix("probe-"): path for path in sorted(workspace.runs.glob("probe-*"))}
    for name, path in folders.items():
        if name not in content.readings and not (path / "outcome.json").exists():
            cut_off += 1
        elif not probe_is_intact(path, name):
            damaged.append(path)
        elif (path / ADAPTER).exists() and not is_whole(path, ADAPTER):
            damaged.append(path / ADAPTER)
    path_pattern, lost = str(workspace.runs / "probe-*"), len(content.readings - folders.keys())
    if damaged:
        names = ", ".join(str(path.relative_to(workspace.runs)) for path in damaged[:3])
        message = f"{len(damaged)} are damaged ({names}): set them aside, and those that are needed run again"
        return FileStatus(path_pattern, False, message, together([setting_aside(path) for path in damaged]))
    message = f"{len(folders)} folders"
    message += f", {cut_off} of them cut off, which run again when they are needed" if cut_off else ""
    message += f"; {lost} that were measured are gone, and reports say so" if lost else ""
    return FileStatus(path_pattern, True, message)


def probe_is_intact(folder: Path, probe: str) -> bool:
    """Whether outcome, recipe and answers in the folder of a probe are as they were written, and belong together. The
    answers may be missing, since a person may remove them."""
    try:
        named = json.loads((folder / "probe.json").read_text(encoding="utf-8"))
        outcome = outcome_from_json(read_manifest(folder))
        recipe = Recipe.from_toml((folder / "recipe.toml").read_text(encoding="utf-8"))
        logs = [path for path in (folder / "levels.json", folder / "train.jsonl") if path.exists()]
        return (
            (named["id"], named["recipe"], named["seed"]) == (probe, recipe.digest, outcome.seed)
            and outcome.probe == probe
            and (not (folder / ANSWERS).exists() or (is_whole(folder, ANSWERS) and is_json(folder / ANSWERS)))
            and (isinstance(outcome, Failure) or all(map(is_json, logs)))
        )
    except UNREADABLE:
        return False


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _recipe_digest(path: Path) -> str | None:
    try:
        return Recipe.from_toml(path.read_text(encoding="utf-8")).digest
    except UNREADABLE:
        return None
