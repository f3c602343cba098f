"""Reads text files as UTF-8 and JSON strictly: no NaN, no repeated keys, no half characters."""

import gzip
import json
import re
import shlex
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import BadInput

GZIP = b"\x1f\x8b"
# Longer marks first, because that of UTF-32 begins with that of UTF-16. The last four are JSON without a mark.
_WIDE = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"{\0": "UTF-16LE",
    b"[\0": "UTF-16LE",
    b"\0{": "UTF-16BE",
    b"\0[": "UTF-16BE",
}
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) for each non-empty line of a file, which is gzip if its name ends in ``.gz``.

    BadInput for a missing or damaged file, or a line that is not an object.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_object(line)
            except ValueError as error:
                raise BadInput(f"{path}, line {number} {error}") from None


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, which is gzip if its name ends in ``.gz``; BadInput for any other encoding."""
    content = read_bytes(path)
    return with_line_feeds(decoded(path, unzipped(path, content) if path.suffix == ".gz" else content))


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; check the path") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error}); check the file") from None


def unzipped(path: Path, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path} cannot be read as gzip ({error}); fetch or pack it again") from None


def decoded(path: Path, content: bytes) -> str:
    """The text of UTF-8 bytes, its line ends unchanged; BadInput has the command to convert another encoding."""
    wide = next((name for mark, name in _WIDE.items() if content.startswith(mark)), None) or _unmarked(content[:16])
    if wide is not None:
        raise BadInput(f"{path} cannot be read as UTF-8 text, since it is {wide}; convert it: {_iconv(wide, path)}")
    if content.startswith(GZIP):
        raise BadInput(f"{path} is packed with gzip and is not named so; rename it to {path.name}.gz")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in content:
            raise BadInput(
                f"{path} is a binary file of a kind that is not known, and rows are read from text or Parquet; write "
                "them as JSONL (docs/data.md)"
            ) from None
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path} cannot be read as UTF-8 text (line {line} has the byte 0x{content[error.start]:02x}), and its "
            f"encoding is not known; convert it: {_iconv('ENCODING', path)}, with CP1252 for ENCODING where it is "
            "western text written on Windows, GB18030 for Chinese, SHIFT_JIS for Japanese or what else it is (iconv -l)"
        ) from None


def with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unmarked(start: bytes) -> str | None:
    """The kind of UTF-16 without a mark, recognised by ASCII text, in which every other byte is zero."""
    even, odd = start[::2], start[1::2]
    if len(start) < 4 or any(even) == any(odd) or not (all(even) or all(odd)):
        return None
    return "UTF-16LE" if any(even) else "UTF-16BE"


def _iconv(encoding: str, path: Path) -> str:
    name, packed = path.name.removesuffix(".gz"), path.suffix == ".gz"
    new = shlex.quote(f"{Path(name).stem}.utf8{Path(name).suffix}")
    convert = f"iconv -f {encoding} -t UTF-8"
    return (
        f"zcat {shlex.quote(str(path))} | {convert} > {new}"
        if packed
        else f"{convert} {shlex.quote(str(path))} > {new}"
    )


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object of one line; the ValueError says what is wrong with the line, and the remedy."""
    try:
        row = STRICT.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error}); mend or remove it") from None
    if not isinstance(row, dict):
        raise ValueError("is not a JSON object; write one object per line")
    return row


def require_whole_characters(raw: str, row: dict[str, Any]) -> None:
    """ValueError if ``row``, which was parsed from ``raw``, contains half a surrogate pair."""
    if _HALF.search(raw):
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError(
                r"holds half a character (\ud800 to \udfff) that cannot be written as UTF-8; mend it"
            ) from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return unique


STRICT = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_without_repeated_keys)
"""Refuses NaN, Infinity and repeated keys."""
