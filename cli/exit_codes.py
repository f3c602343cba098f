"""Exit codes: what each means, and which one an error ends with. The errors are in common/errors.py."""

import errno
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from common.errors import NightlaneError
from common.files import is_full_disk
from common.printable import discard_output, print_message

INTERRUPTED = 130  # what typer gives a KeyboardInterrupt, too

EXIT_CODES = {
    0: "done",
    1: "a defect of nightlane",
    2: "bad input",
    3: "workspace busy",
    4: "study changed",
    5: "endpoint unavailable",
    6: "requirement missing",
    7: "disk full",
    8: "starting recipe not measurable",
    9: "judge unfit",
    INTERRUPTED: "interrupted (resumable)",
}
EPILOG = f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}."


@contextmanager
def on_interrupt(message: Callable[[], str]) -> Iterator[None]:
    """On Ctrl-C, print the message in one line and end with exit code 130."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        signal = f" by {interrupt}" if str(interrupt) else ""
        print_message(f"nightlane: interrupted{signal}; {message()}")
        raise typer.Exit(INTERRUPTED) from None


def exit_code(error: Exception) -> int:
    """Print an error to stderr and return its exit code: one sentence where the user can do something about it, else
    the traceback."""
    if isinstance(error, NightlaneError):
        print_message(f"nightlane: {error}")
        return error.exit_code
    if isinstance(error, BrokenPipeError):  # the reader of a pipe has enough, as head does
        discard_output()
        return 0
    if isinstance(error, OSError):
        return _file_error(error)
    if isinstance(error, sqlite3.DatabaseError):
        return _database_error(error)
    if format_message := getattr(error, "format_message", None):  # a wrong command line
        why, context = format_message().rstrip("."), getattr(error, "ctx", None)
        if why.startswith("Usage:"):  # a group of commands without a command
            print_message(why)
        else:
            print_message(f"nightlane: {why}; see {context.command_path if context else 'nightlane'} --help")
        return 2
    return _defect(error)


def _file_error(error: OSError) -> int:
    """A file or folder of the user that cannot be read or written. An error without a file is a defect of ours."""
    if is_full_disk(error):
        print_message(
            f"nightlane: the disk is full and {error.filename or 'a file'} cannot be written; free some space"
        )
        return 7
    if error.errno == errno.EIO:
        place = error.filename or "a file"
        print_message(f"nightlane: the disk failed ({error.strerror}) at {place}; check the disk, then try again")
        return 7
    if error.filename is None:
        return _defect(error)
    print_message(f"nightlane: {error.filename} cannot be used ({error.strerror}); check the path and its permissions")
    return 2


def _database_error(error: sqlite3.DatabaseError) -> int:
    """A database that cannot be read. A wrong use of it by us is a defect and keeps its traceback."""
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
        raise error
    print_message(
        f"nightlane: a database of the workspace cannot be used ({error}); nightlane doctor with the same --workspace "
        "says which one, and what to do"
    )
    return 2


def _defect(error: Exception) -> int:
    print_message("".join(traceback.format_exception(error)), end="")
    return 1
