"""No secret is printed, logged or stored: addresses lose their user and the values of their query, texts lose keys."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import quote, unquote

HIDDEN = "***"
_ADDRESS = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s\"'<>]+")
_USER = re.compile(r"^([^:/?#@\s]+://)?+(?:[^/\s@]*:\S*|[^/\s]*)@")  # the first: a password may hold / and @
_QUERY = re.compile(r"(?<=[?&#;])([^=&#;?\s]*=)[^&#;\s]*|(?<=[?&])[^=&#;?\s]+")
_KEY = re.compile(
    r"\b(sk-|hf_|gh[pousr]_|xox[a-z]-|AIza)[A-Za-z0-9_-]{8,}"
    r"|(?i:\b((?:bearer|basic)\s+)(?=\S*\d)[A-Za-z0-9._~+/=-]{8,})"
    r"|(?i:\b((?:api[_-]?key|access[_-]?token|token|secret|password)=)[^\s&\"'<>]+)"
    r"|(?i:\b((?:api[_-]?key|access[_-]?token|password)[ \t]?:[ \t]?)(?![ \t\"'])[^\s,;\"'<>]+)"
    r"|(?i:\b((?:api[_-]?key|access[_-]?token|token|secret|password)(?P<name>\\?[\"'])[ \t]?[:=][ \t]?"
    r"(?P<quote>\\?[\"']))(?:(?!(?P=quote))[^\n])+)"
)
_BARE_QUERY = re.compile(r"(?<=[^\s\"'<>?])\?[^\s\"'<>=?]*+=[^\s\"'<>]*+")  # of an address without a scheme
_MARKS = (
    *("sk-", "hf_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "xox", "aiza", "bearer", "basic"),
    *("key", "token", "secret", "password"),
)
"""One of these is in every text, in small letters, that ``_KEY`` finds something in; most texts have none."""
_NAMES = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
_LEAST = 16
"""Shortest value that counts as a secret because of its variable's name; local servers accept keys such as "none"."""


_found: ContextVar[tuple[str, ...] | None] = ContextVar("secrets of the environment", default=None)


@contextmanager
def unchanging_environment() -> Iterator[None]:
    """Look for secrets in the environment once, and not for each of the thousands of texts of a report."""
    before = _found.set(_longest_first(os.environ))
    try:
        yield
    finally:
        _found.reset(before)


def redacted(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without keys, credentials in addresses, and secrets of the environment."""
    found = _found.get() if environment is None else None
    secrets = _longest_first(os.environ if environment is None else environment) if found is None else found
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    if "://" in text:
        text = _ADDRESS.sub(lambda found: redacted_address(found[0]), text)
    if "?" in text:
        text = _BARE_QUERY.sub(lambda found: _without_values(found[0]), text)
    lower = text.lower()
    if any(mark in lower for mark in _MARKS):
        text = _KEY.sub(lambda found: f"{next(filter(None, found.groups()), '')}{HIDDEN}", text)
    return text


def redacted_address(address: str) -> str:
    """The address without user, password and query values; its scheme is optional."""
    if "@" in address:  # without one, the search for a password would take time that grows with the square of the text
        address = _USER.sub(lambda found: f"{found[1] or ''}{HIDDEN}@", address)
    return _without_values(address)


def _without_values(address: str) -> str:
    return _QUERY.sub(lambda found: f"{found[1] or ''}{HIDDEN}", address)


def _longest_first(environment: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(_secrets(environment), key=len, reverse=True))


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    """Values of variables that are named like keys, and passwords and query values of addresses; also parts of them, as
    a parser that refuses an address quotes one."""
    for name, value in environment.items():
        if name.endswith(_NAMES) and len(value) >= _LEAST:
            yield value
        elif "://" in value or (name.startswith("OPENAI_") and name.endswith("_URL")):
            yield from _in_address(value.partition("://")[2] or value)


def _in_address(rest: str) -> Iterator[str]:
    user = rest.rpartition("@")[0]
    password = user.partition(":")[2]
    values = [found[0].removeprefix(found[1] or "") for found in _QUERY.finditer(rest)]
    secrets = [one for one in (user, password, *re.split(r"[/:@?#\[\]]", password)) if len(one) >= 4]
    for secret in (*secrets, *(value for value in values if len(value) >= 8)):
        yield from {secret, quote(secret), unquote(secret)}
