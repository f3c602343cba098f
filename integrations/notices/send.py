"""Delivers notices to the addresses of ``[notify]``, through apprise. No error here ends a night: an address that fails
is logged once, and tried again with the next notice."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from agent.ledger.overview import LedgerOverview
from agent.study.schema import NotifySettings
from agent.workspace.folder import Workspace
from common.errors import BadInput
from common.files import write_unsynced
from common.optional_dependencies import require_extra
from common.wording import one_line
from integrations.notices.notice import Notice

FILE = "notices.json"
"""In the session's folder: the notices that were sent, which a resumed session does not send again. If it is lost, they
are sent twice."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def addresses(settings: NotifySettings, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The addresses with ``${NAME}`` replaced; BadInput where the environment has no NAME."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not environment.get(name):
            raise BadInput(f"[notify] urls name ${{{name}}} and the environment has no {name}; set it, or take it out")
        return environment[name]

    return tuple(_VARIABLE.sub(value, url) for url in settings.urls)


def require_addresses(settings: NotifySettings, environment: Mapping[str, str]) -> None:
    """BadInput for an address that cannot be used, MissingRequirement without apprise. Sends nothing."""
    Sender(addresses(settings, environment), lambda text: None)


class Sender:
    """``note``: writes a line to the log when an address does not take a notice. BadInput for an address that apprise
    does not recognise, MissingRequirement without apprise."""

    def __init__(self, urls: Sequence[str], note: Callable[[str], None]) -> None:
        self._note = note
        self._places = [_place(number, url) for number, url in enumerate(urls, 1)]
        self._troubled = set[str]()

    def send(self, notice: Notice) -> bool:
        """Send to all addresses; returns whether one took it."""
        return any([self._delivered(name, place, notice) for name, place in self._places])

    def _delivered(self, name: str, place: Any, notice: Notice) -> bool:
        with _complaints() as said:
            try:
                taken = bool(place.notify(title=notice.title, body=notice.text))
            except Exception as error:  # whatever a service's client raises: a boundary like that around an endpoint
                taken = False
                said.append(str(error) or type(error).__name__)
        if taken:
            self._troubled.discard(name)
        elif name not in self._troubled:
            self._troubled.add(name)
            why = f" ({one_line(said[-1], 200)})" if said else ""
            self._note(f"NOTIFY {name} did not take the notice {notice.title!r}{why}; the session continues")
        return taken


def _place(number: int, url: str) -> tuple[str, Any]:
    """A name without secrets, and apprise's object. A token may be any part of an address, so only the scheme is
    shown."""
    require_extra("notify", "[notify]")
    import apprise

    name = f"address {number} ({url.partition('://')[0][:20]}://...)"
    with _complaints():
        place = apprise.Apprise.instantiate(url)
    if place is None:
        raise BadInput(
            f"apprise does not recognise {name} of [notify] urls; see https://github.com/caronc/apprise/wiki for how "
            "the address of each service is written"
        )
    return name, place


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collects what apprise logs inside the block, which would otherwise be printed between the lines of a session."""
    said: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, handler = logging.getLogger("apprise"), Listening(logging.WARNING)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def last_log_line(workspace: Workspace, session: str) -> tuple[str, str]:
    """A name for this end of the session's process, by its time, and the last line that the process logged."""
    with LedgerOverview(workspace.ledger, read_only=True) as ledger:
        [(time, text), *_] = ledger.last_notes(session, 1) or [("", "")]
    return f"gone after {time}", text


def sent_notices(session: Path) -> set[str]:
    try:
        found = json.loads((session / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()


def mark_sent(session: Path, name: str) -> None:
    with suppress(OSError):
        write_unsynced(session / FILE, json.dumps(sorted(sent_notices(session) | {name})))
