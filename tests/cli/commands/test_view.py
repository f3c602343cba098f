"""nightlane view from a shell: what it prints, how it ends, and what it refuses."""

import signal
import socket
import subprocess
from pathlib import Path
from urllib.request import Request, urlopen

from commands import ROOT, command, nightlane


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def test_it_serves_an_empty_workspace_until_ctrl_c(tmp_path: Path) -> None:
    asked = command("view", "--workspace", tmp_path, "--port", free_port())
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        root, _, token = address.partition("/open/")
        request = Request(f"{root}/sessions.json", headers={"Authorization": f"Bearer {token}"})
        assert urlopen(request, timeout=60).status == 200
        events = urlopen(Request(f"{root}/events", headers=dict(request.header_items())), timeout=60)
        assert events.readline() == b"retry: 2000\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        events.close()
    assert (process.returncode, output, errors) == (0, "", "Ctrl-C ends it\n")
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_and_a_folder_that_is_not_there_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = nightlane("view", "--workspace", tmp_path, "--port", port)
        assert done.returncode == 2
        assert done.stderr == f"nightlane: port {port} of 127.0.0.1 is in use; give another one with --port\n"
    done = nightlane("view", "--workspace", tmp_path / "none")
    assert done.returncode == 2
    assert done.stderr.startswith("nightlane: there is no folder ")
