"""The kinds of faults, and the outcome of a case."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

KINDS = {
    "kill": "kill at a system call",
    "state": "kill at a recorded call",
    "cut": "power cut",
    "full": "full disk",
    "error": "input/output error",
    "damaged": "damaged file",
    "real": "kill of a real night",
}


@dataclass(frozen=True)
class Outcome:
    """What went wrong in a case; the four lists are empty if nothing did. ``where``: the call that the fault hit.

    ``not_played``: why the case could not be played (which is no fault of the product); "" if it was played.
    ``shared``: an earlier case left the same files, so its recovery was not repeated for this one. ``as_recorded``:
    whether a kill left the files that the record of the command predicts; None if they were not compared.
    """

    kind: str
    number: int
    scenario: str
    where: str
    lost: Sequence[str] = ()
    doubled: Sequence[str] = ()
    different: Sequence[str] = ()
    traceback: Sequence[str] = ()
    faults: int = 1
    not_played: str = ""
    shared: bool = False
    as_recorded: bool | None = None

    def then(self, later: "Outcome") -> "Outcome":
        """This outcome with the faults and the problems of a later step of the same case."""
        return replace(
            self,
            where=", then ".join(where for where in (self.where, later.where) if where),
            lost=(*self.lost, *later.lost),
            doubled=(*self.doubled, *later.doubled),
            different=(*self.different, *later.different),
            traceback=(*self.traceback, *later.traceback),
            faults=self.faults + later.faults,
        )

    @property
    def bad(self) -> bool:
        return bool(self.lost or self.doubled or self.different or self.traceback)
