"""A command on a workspace with a damaged file prints one sentence, never a traceback, and damage is noticed."""

import importlib.metadata
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath

import pytest
from damaged import workspace_and_study

import cli.machine
import sandbox
from bench.faults.damaged_files import FAST, WITH_DIGESTS, DamagedFileCase, Table, damage_table

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_no_damage_gives_a_traceback_or_goes_unnoticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine and its packages, which doctor examines too, are the same each time."""
    monkeypatch.setattr(cli.machine, "diagnose", cache(sandbox.diagnose))
    monkeypatch.setattr(importlib.metadata, "version", cache(importlib.metadata.version))
    workspace, study = workspace_and_study(tmp_path)
    cases = [
        case
        for turn in range(3)
        for case in damage_table(workspace, study, turn, only=FAST if turn == 0 else ("doctor",)).cases
    ]
    table = Table(tuple(cases))
    assert [(case.file, case.damage, case.command, case.says) for case in table.tracebacks] == []
    assert [(case.file, case.damage, case.command) for case in table.unnoticed] == []
    codes = {(case.file, case.damage): case.code for case in table.cases if case.command == "doctor"}
    files = {file for file, _ in codes}
    assert codes["runs/ledger.sqlite", "empty"] == 2
    assert len(files) >= 25
    for pattern in WITH_DIGESTS:
        own = {damage for file, damage in codes if PurePath(file).match(pattern)}
        assert all(any(damage.startswith(kind) for damage in own) for kind in ("a bit flipped", "cut", "empty"))
    assert len(list(table.lines())) == len(codes) + 2


def test_a_change_of_a_file_with_a_digest_that_doctor_does_not_find_is_unnoticed() -> None:
    missed = DamagedFileCase("runs/rl_data/sums.json", "cut", "doctor", 0, False, "")
    other, deleted = replace(missed, file="runs/worker-0.log"), replace(missed, damage="deleted")
    assert Table((missed, other, deleted)).unnoticed == (missed,)


def test_a_case_whose_output_changes_without_a_message_is_unnoticed() -> None:
    silent, crashed = (
        DamagedFileCase("f", "cut", "status", 0, True, ""),
        DamagedFileCase("f", "cut", "report", None, False, "Traceback"),
    )
    doctor = DamagedFileCase("f", "cut", "doctor", 2, True, "")
    assert Table((silent, crashed)).unnoticed == (silent,)
    assert Table((silent, crashed)).tracebacks == (crashed,)
    assert Table((silent, doctor)).unnoticed == ()
