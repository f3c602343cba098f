"""A first wave whose design is killed while Optuna chooses among the near values of a knob."""

from pathlib import Path
from typing import Any

import pytest
from sessions import go_on, ledger_of, play

from agent.loop.proposals import Proposals
from agent.study.load import load_study
from testing import simulated_study


def chosen(workspace: Path) -> list[tuple[str, object]]:
    with ledger_of(workspace) as ledger:
        return [(row.knob, row.after) for row in ledger.proposals("WHERE proposer = 'optuna'")]


def test_a_session_that_was_killed_between_its_choices_goes_on_with_the_same_ones(
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
    assert len(chosen(tmp_path / "killed")) == 2
    go_on(tmp_path / "killed")
    assert chosen(tmp_path / "killed") == chosen(tmp_path / "whole")
