"""Where a model that thinks aloud ends its thought and begins its answer."""

import re

_OPENS = re.compile(r"^[ \t]*+<think(?:ing)?>", re.IGNORECASE | re.MULTILINE)
_CLOSES = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_CLOSES_A_LINE = re.compile(r"^[ \t]*+</think(?:ing)?>|</think(?:ing)?>(?=[ \t]*+$)", re.IGNORECASE | re.MULTILINE)


def answer_of(text: str) -> str:
    """What stands behind the last ``</think>`` and before a ``<think>`` that never ends; all of a text without either.

    The opening tag may be missing: many chat templates write it into the prompt. A thought that never ended has no
    answer, so a text that is nothing else gives "". An opening tag stands at the start of a line, a closing one at the
    start or the end of one, unless the text begins with a thought: others are words of the answer.
    """
    closed = list((_CLOSES if _OPENS.match(text.lstrip()) else _CLOSES_A_LINE).finditer(text))
    if closed:
        text = text[closed[-1].end() :]
    opened = _OPENS.search(text)
    return text[: opened.start()] if opened else text
