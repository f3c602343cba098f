"""Removes secrets before a text is printed, logged or stored: keys and tokens, and users and query values of URLs."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import quote, unquote

HIDDEN = "***"
_ADDRESS = re.compile(
    r"\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://"
    r"(?:[^\s/@:\"'<>]{1,256}:(?!\d+[\"'<>/])(?:[^\s@]{0,256}@)+"  # a password may hold any character; a port is none
    r"|(?:[^\s/@\"'<>]|[\"'<>](?![\"'<>,:;)}\]\s]|$)){1,256}@)?"  # nor is a quote that ends an address
    r"[^\s\"'<>]+"
)
_USER = re.compile(r"^([^:/?#@\s]+://)?+(?:[^/\s@]*:\S*|[^/\s]*)@")  # the first: a password may hold / and @
_QUERY = re.compile(r"(?<=[?&#;])([^=&#;?\s]*=)[^&#;\s]*|(?<=[?&])[^=&#;?\s]+")
_KNOWN_KEY = re.compile(r"\b(sk-|hf_|gh[pousr]_|xox[a-z]-|AIza)[A-Za-z0-9_-]{8,}")
_NAME = re.compile(
    r"(?P<word>key|token|secret|passw(?:or)?d|pwd|passphrase|authorization|bearer|basic)(?:[ ]provided)?"
    r"(?P<quote>\\?[\"'])?"
    r"(?:(?P<mark>[ \t]?[:=][ \t]?)(?P<opens>\\?[\"'])?(?P<scheme>(?:basic|bearer|token)[ ]+)?|[ ]+)",
    re.IGNORECASE,
)
_BEFORE_A_SECRET = re.compile(r"(?:api|access|auth|bearer|refresh|session|client|private|secret)[ _-]?$", re.IGNORECASE)
"""Words before ``key``, ``token`` and ``secret`` that make the value a secret, whatever it looks like."""
_OPTION = re.compile(r"--[\w-]*$")
_BEHIND_EQUALS = re.compile(r"[^\s&\"'<>]+")
_QUOTED = {quote: re.compile(rf"(?:(?!{re.escape(quote)})[^\n])+") for quote in ("'", '"', "\\'", '\\"')}
_ONE_WORD = re.compile(r"[^\s,;}\"'<>\\]+")
_NO_CALL = r"[\w.~+/=-]{6,}+(?![(\[])"
_LIKE_A_VALUE = re.compile(_NO_CALL)
_LIKE_A_SECRET = re.compile(
    r"(?=[\w.~+/=-]{0,200}\d|(?=[\w.~+/=-]{16})(?=[^A-Z\s]{0,200}[A-Z])[^a-z\s]{0,200}[a-z])" + _NO_CALL
)
_BARE_QUERY = re.compile(r"(?<=[^\s\"'<>?])\?[^\s\"'<>=?]*+=[^\s\"'<>]*+")  # of an address without a scheme
_MARKS = ("key", "token", "secret", "passw", "pwd", "passphrase", "authorization", "bearer", "basic")
"""Every text that ``_without_keys`` changes contains one of these, in lower case; most texts contain none."""
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
    text = _KNOWN_KEY.sub(lambda found: f"{found[1]}{HIDDEN}", text)
    lower = text.lower()
    if any(mark in lower for mark in _MARKS):
        text = "".join(_without_keys(text))
    return text


def _without_keys(text: str) -> Iterator[str]:
    """The parts of the text, without the values of keys, tokens, secrets and passwords."""
    done = 0
    for name in _NAME.finditer(text):
        if name.start() >= done and (value := _value(text, name)):
            yield text[done : value.start()]
            yield HIDDEN
            done = value.end()
    yield text[done:]


def _value(text: str, name: re.Match[str]) -> re.Match[str] | None:
    """The secret that follows a name; None if what follows does not look like one."""
    word, mark, before = name["word"].lower(), name["mark"], text[max(0, name.start() - 9) : name.start()]
    if word in ("bearer", "basic"):
        return _LIKE_A_SECRET.match(text, name.end())
    if word == "authorization":
        return (_ONE_WORD if name["scheme"] else _LIKE_A_SECRET).match(text, name.end()) if mark else None
    is_variable = before.endswith("_") and name["word"].isupper()
    certain = word.startswith("p") or is_variable or bool(_BEFORE_A_SECRET.search(before))
    if word == "key" and not certain:
        return None
    if mark is None:
        return _BEHIND_EQUALS.match(text, name.end()) if _OPTION.search(before) else None
    if opens := name["opens"]:
        value = _QUOTED[opens].match(text, name.end("opens"))
        return value if value and (certain or name["quote"] or len(value[0]) >= 8) else None
    is_word = not (before[-1:].isalnum() or before.endswith("_"))
    if mark == "=" and not name["quote"] and (certain or is_word):
        return _BEHIND_EQUALS.match(text, name.end("mark"))
    is_header = not before or before[-1] in "{\n-"
    if ":" in mark and not name["quote"] and (certain or is_header):
        return _ONE_WORD.match(text, name.end("mark"))
    return (_LIKE_A_VALUE if certain else _LIKE_A_SECRET).match(text, name.end("mark"))


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
    """Values of variables that are named like keys, and passwords and query values of addresses. Parts of a password
    count, too: a parser that refuses an address may quote only a part of it."""
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
