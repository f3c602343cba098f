"""Signs of life to systemd, over a socket like its own."""

import socket
import time
from pathlib import Path

import pytest

from common import systemd


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A socket in the place of systemd's."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(tmp_path / "notify"))
    receiver.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setattr(systemd._Last, "sent", -systemd.SECONDS)
    return receiver


def test_systemd_hears_that_a_session_started_and_is_alive(manager: socket.socket) -> None:
    with manager:
        systemd.started()
        assert manager.recv(100) == b"READY=1"
        systemd.alive()
        assert manager.recv(100) == b"WATCHDOG=1"


def test_signs_of_life_are_at_most_one_a_second(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with manager:
        for moment in (10.0, 10.2, 10.9, 11.1):
            monkeypatch.setattr(time, "monotonic", lambda moment=moment: moment)
            systemd.alive()
        manager.setblocking(False)
        assert [manager.recv(100) for _ in range(2)] == [b"WATCHDOG=1"] * 2
        with pytest.raises(BlockingIOError):
            manager.recv(100)


def test_without_systemd_or_with_a_dead_one_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.started()
    systemd.alive()
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    systemd.started()
    systemd.alive()
