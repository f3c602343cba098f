"""nightlane watch as a person starts it: on a terminal, and where there is none."""

import os
import pty
import select
import subprocess
from pathlib import Path

import pytest
from commands import LONGEST, ROOT, command, nightlane


def shown_until(terminal: int, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        assert select.select([terminal], [], [], LONGEST)[0], found
        found += os.read(terminal, 65536)
    return found


@pytest.mark.long
def test_ctrl_c_ends_it_and_gives_the_terminal_back(tmp_path: Path) -> None:
    outer, inner = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    started = subprocess.Popen(
        command("watch", "--workspace", tmp_path), stdin=inner, stdout=inner, stderr=inner, env=environment, cwd=ROOT
    )
    os.close(inner)
    shown_until(outer, b"q quit")
    os.write(outer, b"\x03")
    left = shown_until(outer, b"\x1b[?1049l")
    assert started.wait(LONGEST) == 0
    assert b"Traceback" not in left
    os.close(outer)


def test_without_a_terminal_it_names_status(tmp_path: Path) -> None:
    done = nightlane("watch", "--workspace", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().endswith("use nightlane status")
    assert "Traceback" not in done.stderr


def test_notices_and_json_do_not_go_together(tmp_path: Path) -> None:
    done = nightlane("watch", "--workspace", tmp_path, "--notify", "--once", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "prints no JSON; leave --json or --notify out" in done.stderr


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    done = nightlane("watch", "--workspace", tmp_path / "none")
    assert done.returncode == 2
    assert "there is no folder" in done.stderr
