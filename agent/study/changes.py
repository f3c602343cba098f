"""Which keys of a study changed, among those that decisions depend on."""

from collections.abc import Mapping
from typing import Any

from agent.study.load import Study
from common.wording import one_line

MOST_NAMED, MOST_SHOWN = 5, 60
UNNAMED = "no key of it, so another version of nightlane reads it otherwise"
SOURCES = "data.sources."
_ABSENT = "(not set)"


def changed_keys(before: Study, after: Study) -> list[str]:
    """Each deciding key that differs, with its old and new value."""
    old, new = before.deciding_keys, after.deciding_keys
    return [
        f"{name}: {_shown(old.get(name, _ABSENT))} -> {_shown(new.get(name, _ABSENT))}" for name in _different(old, new)
    ]


def added_sources(before: Study, after: Study) -> tuple[str, ...] | None:
    """The sources that were added to a study; None if another deciding key changed, too."""
    old, new = before.deciding_keys, after.deciding_keys
    names = _different(old, new)
    if not all(name.startswith(SOURCES) and name not in old for name in names):
        return None
    return tuple(name.removeprefix(SOURCES) for name in names)


def changes_in_words(before: Study, after: Study) -> str:
    """The first keys that differ, on one line."""
    changes = changed_keys(before, after) or [UNNAMED]
    more = len(changes) - MOST_NAMED
    return ", ".join(changes[:MOST_NAMED]) + (f", and {more} more" if more > 0 else "")


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in {**old, **new} if old.get(name, _ABSENT) != new.get(name, _ABSENT)]


def _shown(value: object) -> str:
    return one_line(str(value), MOST_SHOWN)
