"""A first wave whose design is killed while the proposals of its recipes are recorded."""

from pathlib import Path
from typing import Any

import pytest
from sessions import go_on, ledger_of, play

from agent.loop.search.proposals import Proposals
from agent.study.load import load_study
from testing import simulated_study


def proposed(workspace: Path) -> list[tuple[str, object, str]]:
    with ledger_of(workspace) as ledger:
        return [(row.knob, row.after, row.proposer) for row in ledger.proposals()]


def test_a_session_that_was_killed_between_its_proposals_goes_on_with_the_same_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = simulated_study.study_text(decisions=12).replace("disk_gb", "probes = 20\ndisk_gb")
    study = load_study(simulated_study.write_study(tmp_path / "study", text))
    play(study, tmp_path / "whole")
    original, made = Proposals.make, [0]

    def make(self: Proposals, *arguments: Any) -> Any:
        made[0] += 1
        if made[0] == 3:
            raise KeyboardInterrupt
        return original(self, *arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Proposals, "make", make)
        play(study, tmp_path / "killed")
    assert len(proposed(tmp_path / "killed")) == 2
    go_on(tmp_path / "killed")
    assert proposed(tmp_path / "killed") == proposed(tmp_path / "whole")
    assert {"optuna", "factorial"} <= {proposer for _, _, proposer in proposed(tmp_path / "whole")}
