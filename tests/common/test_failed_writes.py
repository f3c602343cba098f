"""What libraries say of a failed write becomes an OSError with its cause."""

import errno
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy
import pytest

from common.files import failed_write, write_durably, write_unsynced

TORCH = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 10816 vs 10708")


def cause(error: Exception, folder: Path) -> int | None:
    found = failed_write(error, folder)
    return found.errno if found else None


def test_the_cause_that_a_text_names_is_taken(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EIO):
        text = f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})"
        assert cause(ValueError(text), tmp_path) == number


def test_a_cause_that_is_not_named_is_found_by_writing_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cause(TORCH, tmp_path) == errno.EIO
    assert not list(tmp_path.iterdir())

    def full(**_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert cause(TORCH, tmp_path) == errno.ENOSPC


def test_numpy_reports_a_full_disk_without_a_cause(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="written") as raised, Path("/dev/full").open("wb", buffering=0) as full:
        numpy.zeros(1 << 20).tofile(full)
    assert raised.value.errno is None
    assert cause(raised.value, tmp_path) == errno.EIO


def test_a_failed_write_that_names_no_file_names_the_folder(tmp_path: Path) -> None:
    found = failed_write(OSError(errno.ENOSPC, "No space left on device"), tmp_path)
    assert found is not None
    assert (found.errno, found.filename) == (errno.ENOSPC, str(tmp_path))


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    for error in (ValueError("odd"), OSError(errno.ENOSPC, "No space left on device", "a file"), KeyboardInterrupt()):
        assert failed_write(error, tmp_path) is None


@pytest.mark.parametrize("write", [write_durably, write_unsynced])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    """Here because it is too large, which the kernel reports as it reports a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            write(tmp_path / "report.md", "a line\n" * 99)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(tmp_path / "report.md")
