"""nightlane service: the unit as systemd reads it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import nightlane

from cli.service_unit import Service, write_unit
from common.errors import BadInput
from testing import simulated_study


def service(folder: Path, **changes: object) -> Service:
    usual: dict[str, object] = {
        "name": "tonight",
        "study": folder / "study.toml",
        "workspace": folder / "work",
        "options": ("--hours", "8"),
        "deadline": 3600.0,
        "notifies": False,
    }
    return Service(**{**usual, **changes})  # type: ignore[arg-type]


def test_the_command_writes_the_unit_and_says_how_to_begin(tmp_path: Path) -> None:
    study = simulated_study.write_study(tmp_path / "study")
    done = nightlane(
        "service", study, "--workspace", tmp_path, "--hours", "8", XDG_CONFIG_HOME=str(tmp_path / "configuration")
    )
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path == tmp_path / "configuration" / "systemd" / "user" / "nightlane-simulated.service"
    text = path.read_text(encoding="utf-8")
    assert f'"run" "{study}" "--workspace" "{tmp_path}" "--or-resume" "--hours" "8"' in text
    assert "WatchdogSec=4500" in text
    assert "systemctl --user enable --now nightlane-simulated.service" in done.stderr
    again = nightlane("service", study, "--workspace", tmp_path, XDG_CONFIG_HOME=str(tmp_path / "configuration"))
    assert again.returncode == 0, "the unit of the same study and workspace is written again"
    assert "--hours" not in path.read_text(encoding="utf-8")


def test_a_unit_of_another_workspace_is_not_replaced(tmp_path: Path) -> None:
    write_unit(service(tmp_path), tmp_path)
    with pytest.raises(BadInput, match="belongs to one study and workspace"):
        write_unit(service(tmp_path, workspace=tmp_path / "other"), tmp_path)
    (tmp_path / "nightlane-mine.service").write_text("[Unit]\n", encoding="utf-8")
    with pytest.raises(BadInput, match="belongs to one study and workspace"):
        write_unit(service(tmp_path, name="mine"), tmp_path)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"\xff\xfe"), Path.mkdir], ids=["bytes", "a folder"])
def test_a_unit_that_cannot_be_read_is_not_replaced(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    damage(tmp_path / "nightlane-tonight.service")
    with pytest.raises(BadInput, match=r"nightlane-tonight.service cannot be read \(.*\); move it away"):
        write_unit(service(tmp_path), tmp_path)


def test_a_path_with_a_line_break_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="control character"):
        write_unit(service(tmp_path, workspace=tmp_path / "a\nExecStart=evil"), tmp_path)


def test_notices_of_a_death_are_in_the_unit_of_a_study_that_says_who_is_told(tmp_path: Path) -> None:
    assert "watch" not in service(tmp_path).text
    assert 'ExecStopPost=-"' in service(tmp_path, notifies=True).text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    odd = tmp_path / 'a "b" $HOME 50% folder'
    odd.mkdir()
    path = write_unit(service(tmp_path, study=odd / "study.toml", workspace=odd, notifies=True), tmp_path / "units")
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(path)], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
