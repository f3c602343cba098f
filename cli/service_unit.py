"""The systemd user unit of a study. It begins a session or continues an unfinished one, is restarted when it fails, and
is started again after a reboot until the session has ended."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.exit_codes import INTERRUPTED
from common.errors import BadInput
from common.files import write_durably

WRITTEN_BY = "# Written by nightlane service"
FINAL = (2, 3, 4, 6, 7, 8, 9, INTERRUPTED)
"""Exit codes after which a restart would not help."""
SILENCE = 900.0
"""Systemd ends the process if it is silent for the deadline of a probe and so many seconds more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """``study``, ``workspace``: absolute paths. ``options``: of nightlane run. ``deadline``: seconds that a probe may
    take. ``notifies``: whether the study says who is notified."""

    name: str
    study: Path
    workspace: Path
    options: tuple[str, ...]
    deadline: float
    notifies: bool

    @property
    def unit(self) -> str:
        return f"nightlane-{self.name}.service"

    @property
    def text(self) -> str:
        run = _words(*_nightlane(), "run", self.study, "--workspace", self.workspace, "--or-resume", *self.options)
        look = _words(*_nightlane(), "watch", "--notify", "--once", "--workspace", self.workspace)
        disable = f"systemctl --user --no-reload disable {self.unit}"
        told = f"ExecStopPost=-{look}\n" if self.notifies else ""
        return f"""{WRITTEN_BY}; write it again with: {self.command}
[Unit]
Description=nightlane: {self.name.replace("%", "%%")}
StartLimitIntervalSec=6h
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
WorkingDirectory={_path(self.study.parent)}
EnvironmentFile=-%h/.config/nightlane/{self.name}.env
ExecStart={run}
{told}ExecStopPost=/bin/sh -c 'if [ "$$EXIT_STATUS" = 0 ]; then {disable}; fi'
Restart=on-failure
RestartSec=60
RestartPreventExitStatus={" ".join(map(str, FINAL))}
WatchdogSec={self.deadline + SILENCE:.0f}
KillMode=mixed
TimeoutStopSec=120

[Install]
WantedBy=default.target
"""

    @property
    def command(self) -> str:
        return shlex.join(["nightlane", "service", str(self.study), "--workspace", str(self.workspace), *self.options])


def folder_of_units(environment: Mapping[str, str]) -> Path:
    """Where systemd looks for the units of a user."""
    configuration = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(configuration) / "systemd" / "user"


def write_unit(service: Service, folder: Path) -> Path:
    """Write the unit; BadInput if a file with its name was written by somebody else, or for another study or
    workspace."""
    path = folder / service.unit
    if path.exists():
        first = _first_line(path)
        same = f" {service.study} --workspace {service.workspace}"
        if not first.startswith(WRITTEN_BY) or shlex.join(shlex.split(same)) not in first:
            raise BadInput(
                f"a unit belongs to one study and workspace and {path} is another one's; move it away, or give the "
                "study another name"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(path, service.text)
    return path


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"a unit belongs to one study and workspace and {path} cannot be read ({error}); move it away"
        ) from None


def _nightlane() -> tuple[str, ...]:
    """The command of this installation."""
    script = Path(sys.executable).with_name("nightlane")
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-m", "cli.main")


def _words(*words: object) -> str:
    """Words of a command line as systemd reads them (systemd.service(5), systemd.syntax(7))."""
    return " ".join(f'"{_escaped(str(word))}"' for word in words)


def _escaped(word: str) -> str:
    if not word.isprintable():
        raise BadInput(f"a unit of systemd is lines of text and {word!r} holds a control character; rename it")
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")


def _path(path: Path) -> str:
    """A path that is the whole value of a key."""
    _escaped(str(path))
    return str(path).replace("%", "%%")
