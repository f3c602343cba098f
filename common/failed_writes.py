"""Some libraries report a failed write by errors of their own: safetensors by the text of its error, torch and numpy
without the cause. A write to an open file names no file. Here each becomes an OSError with a cause and a place."""

import errno
import os
import re
import tempfile
from pathlib import Path

NUMBER = re.compile(r"\(os error (\d+)\)")
WITHOUT_CAUSE = re.compile(r"inline_container|PytorchStreamWriter|requested and \d+ written|iostream error")
FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
TRIED_BYTES = 1 << 20


def failed_write(error: BaseException, folder: Path) -> OSError | None:
    """The failed write in ``folder`` that an error reports without a cause or a place; None for any other error."""
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        nameless = error.filename is None and error.errno in FAILURES
        return OSError(error.errno, error.strerror, str(folder)) if nameless else None
    if found := NUMBER.search(text):
        return OSError(int(found[1]), os.strerror(int(found[1])), str(folder))
    return _cause(folder) if WITHOUT_CAUSE.search(text) else None


def _cause(folder: Path) -> OSError:
    """Why a file cannot be written: a full disk is full for a second file, too."""
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(TRIED_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return OSError(error.errno, os.strerror(error.errno or errno.EIO), str(folder))
    return OSError(errno.EIO, "a file could not be written whole", str(folder))
