"""What a full-length run needs of the machine: memory."""

from pathlib import Path

import pytest
from trainable import exported, planned, stores

from common.errors import BadInput
from finetune import memory
from probes.memory.fit import Machine
from view.terminal.finetune import plan_text


@pytest.mark.long
def test_a_run_says_what_memory_it_needs_and_one_that_does_not_fit_is_refused(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path)
    (tmp_path / "model").symlink_to(tiny_folder / "model")
    made = planned(tmp_path, found, unreviewed=True)
    assert made.room is not None
    assert f"memory: about {made.room.start.peak:.1f} GiB at its peak (" in plan_text(made)
    assert made.room.machine.workers == 1, "a full-length run is one process"
    monkeypatch.setattr(memory, "this_machine", lambda _: Machine("cuda", 0.705, 1))
    with pytest.raises(BadInput) as told:
        planned(tmp_path, found, unreviewed=True)
    assert str(told.value).startswith("a full-length run fits in 0.7 GiB (one GPU), and this one needs about ")
    assert "; set " in str(told.value) or "; take a smaller model" in str(told.value)
