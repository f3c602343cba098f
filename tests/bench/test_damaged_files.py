"""A command on a workspace with a damaged file prints one sentence, never a traceback, and damage is noticed."""

from pathlib import Path

import pytest
from damaged import workspace_and_study

from bench.faults.damaged_files import FAST, Case, Table, damage_table

pytestmark = pytest.mark.slow


def test_no_damage_gives_a_traceback_or_goes_unnoticed(tmp_path: Path) -> None:
    workspace, study = workspace_and_study(tmp_path)
    table = damage_table(workspace, study, round_of=0, only=FAST)
    assert [(case.file, case.damage, case.command, case.says) for case in table.tracebacks] == []
    assert [(case.file, case.damage, case.command) for case in table.unnoticed] == []
    codes = {case.file: case.code for case in table.cases if case.command == "doctor"}
    assert codes["runs/ledger.sqlite"] == 2
    assert len(codes) >= 15
    assert len(list(table.lines())) == len(codes) + 2


def test_a_case_whose_output_changes_without_a_message_is_unnoticed() -> None:
    silent, crashed = Case("f", "cut", "status", 0, True, ""), Case("f", "cut", "report", None, False, "Traceback")
    doctor = Case("f", "cut", "doctor", 2, True, "")
    assert Table((silent, crashed)).unnoticed == (silent,)
    assert Table((silent, crashed)).tracebacks == (crashed,)
    assert Table((silent, doctor)).unnoticed == ()
