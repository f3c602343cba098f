"""The way out: nothing in a text is obeyed, and nothing that is lost on the way ends who tells it."""

import errno
import io
import json
import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import printable as module
from common.printable import Outlet, print_data, print_json, print_message, printable


@given(st.text())
def test_no_character_that_a_terminal_obeys_is_left(text: str) -> None:
    for char in printable(text):
        assert char in "\n\t\u200c\u200d" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp"))))
def test_what_is_only_shown_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert printable(printable(text)) == printable(text)


def test_each_is_written_out_where_it_stood() -> None:
    hostile = "\x1b[31mred\x1b]8;;http://x\x07a\r\x9b2J\u202eb\ud800\n\tc"
    assert printable(hostile) == "\\x1b[31mred\\x1b]8;;http://x\\x07a\\r\\x9b2J\\u202eb\\ud800\n\tc"


def test_messages_and_data_lose_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    print_message("http://me:secret@host\x1b[0m")
    print_data("http://me:secret@host?page=1 and sk-abcdefgh1")
    captured = capsys.readouterr()
    assert captured.err == "http://***@host\\x1b[0m\n"
    assert captured.out == "http://***@host?page=*** and sk-***\n"


def test_json_loses_secrets_and_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": ["\x1b\u202e", 'see "http://me:secret@host?key=secret"', 1.5, None, True], "token=secret": 1})
    told = ["\x1b\u202e", 'see "http://***@host?key=***"', 1.5, None, True]
    assert json.loads(capsys.readouterr().out) == {"text": told, "token=***": 1}


class Broken(io.StringIO):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, _text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_WRONLY)


@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE])
def test_a_terminal_or_pipe_that_is_gone_ends_nothing(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken(number))
    print_message("nobody reads this")
    monkeypatch.setattr(sys, "stderr", None)
    print_message("nor this")
    assert Outlet(None).write("four") == 4


def test_a_full_disk_is_no_closed_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        print_data("data")


def test_an_encoding_that_lacks_a_letter_writes_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    print_data("ä")
    assert stream.buffer.getvalue() == b"\\xe4\n"


def test_a_reader_that_stops_early_leaves_no_error_behind() -> None:
    program = f"from {module.__name__} import print_data\nfor n in range(20000): print_data(f'line {{n}}')"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
