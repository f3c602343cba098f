"""Where a model that thinks aloud ends its thought and begins its answer."""

import re

# A tag in quotes is text of a program.
_OPENS, _CLOSES = (re.compile(rf"(?<![\"'])<{slash}think(?:ing)?>(?![\"'])", re.IGNORECASE) for slash in ("", "/"))


def answer_of(text: str) -> str:
    """What stands behind the last ``</think>`` and before a ``<think>`` that never ends; all of a text without either.

    The opening tag may be missing: many chat templates write it into the prompt. A thought that never ended has no
    answer, so a text that is nothing else gives "".
    """
    closed = list(_CLOSES.finditer(text))
    if closed:
        text = text[closed[-1].end() :]
    opened = _OPENS.search(text)
    return text[: opened.start()] if opened else text
