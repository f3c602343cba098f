"""Frames: four bytes of length, then JSON, on every channel. Runs inside the jail, too.

There are two kinds of channel. The control channel connects the caller and the zygote; no program has access to it. A
program channel serves one program: requests go in, data comes out, and the caller trusts none of it.
"""

import json
import math
import os
import struct
from typing import Any

HEADER = struct.Struct(">I")
ENVELOPE = 64  # bytes around a returned value in its frame, with a margin


class FrameTooLarge(ValueError):
    """A frame announces more bytes than its reader accepts."""


def pack(message: Any) -> bytes:
    """One frame. ASCII JSON keeps any string. NaN is refused; values.py encodes it."""
    body = _ENCODER.encode(message).encode("ascii")
    return HEADER.pack(len(body)) + body


def unpack(body: bytes) -> Any:
    """The message in a frame's body. ValueError for anything that is not strict JSON, or nested too deeply."""
    try:
        return _DECODER.decode(body.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise ValueError("the frame is nested too deeply") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    """Refuse 1e999, which is JSON and infinite, so that ``pack`` accepts what was read."""
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits)


# json.dumps and json.loads would create these for each frame, which takes longer than using them.
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def write_all(fd: int, data: bytes) -> None:
    """Write `data` to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_exactly(fd: int, size: int) -> bytes | None:
    """`size` bytes from a blocking descriptor, or None when it ends before them."""
    parts: list[bytes] = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(fd: int) -> Any:
    """The next message from a blocking descriptor with a trusted writer, or None at its end."""
    header = read_exactly(fd, HEADER.size)
    body = None if header is None else read_exactly(fd, HEADER.unpack(header)[0])
    return None if body is None else unpack(body)


class FrameBuffer:
    """Splits an untrusted stream into frame bodies of at most `max_bytes` bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        self._data += data

    def next_body(self) -> bytes | None:
        """The next complete body, or None if more bytes are needed; FrameTooLarge for one that is too large."""
        if len(self._data) < HEADER.size:
            return None
        size: int = HEADER.unpack_from(self._data)[0]
        if size > self._max_bytes:
            raise FrameTooLarge(f"a frame of {size} bytes was announced; {self._max_bytes} are accepted")
        end = HEADER.size + size
        if len(self._data) < end:
            return None
        body = bytes(self._data[HEADER.size : end])
        del self._data[:end]
        return body
