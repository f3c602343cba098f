"""Two processes that divide the base among them (FSDP2) train what one does, over gloo on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import commands
import pytest
import sharded
from resumable import again_planned, complete, figures, ready, resumed
from safetensors.numpy import load_file

from common.errors import BadInput
from finetune import processes
from finetune import run as running
from preferences.store.stores import Stores

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.mark.long
@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_it_trains_what_one_process_does_also_if_it_was_interrupted(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    from probes.train import trl

    monkeypatch.setattr(processes, "CONTEXT", commands.WorkerContext())
    monkeypatch.setattr(processes, "_serve", sharded.serve)
    sharded.on_cpu()
    gathered = []
    gather = trl._whole_adapter

    def seen(model: Any) -> Any:
        gathered.append(gather(model))
        return gathered[-1]

    monkeypatch.setattr(trl, "_whole_adapter", seen)
    given: dict[str, Any] = {"steps": 4, "save_every": 2, "spot_check": 0}
    recipe = {"objective": objective, "lora_dropout": 0.0}
    one = ready(tmp_path, tiny_folder, "one", recipe=dict(recipe), **given)
    stores = Stores(tmp_path / "runs" / "rl_data")
    two = again_planned(tmp_path, stores, "two", recipe=dict(recipe), processes=2, fsdp=True, **given)
    complete(one)

    def interrupt(line: Mapping[str, Any]) -> None:
        if line["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        running.run(two, 1, interrupt)
    assert complete(resumed(two)).resumed == 2
    whole, parts = gathered
    assert whole is None
    assert parts is not None
    for line, other in zip(figures(one.request.folder), figures(two.request.folder), strict=True):
        assert {name: pytest.approx(value, rel=1e-4, abs=1e-6) for name, value in line.items()} == other
    mine, theirs = (load_file(plan.request.folder / "adapter" / "adapter_model.safetensors") for plan in (one, two))
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        assert value == pytest.approx(theirs[name], rel=1e-3, abs=1e-6)
    with pytest.raises(BadInput, match="the software or the device changed"):
        complete(resumed(two, fsdp=False))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"processes": 1}, "--processes is 1; give --processes 2 or more"),
        ({"recipe": {"quantization": "nf4"}}, 'quantization = "nf4"; leave --fsdp out'),
        ({"objective": "kto"}, "--objective is kto"),
        ({"spot_check": 8}, "for --spot-check 8 one process would have to answer"),
    ],
)
def test_what_cannot_be_divided_is_refused(
    tmp_path: Path, tiny_folder: Path, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadInput, match=f"--fsdp is for several processes .*{why}"):
        ready(tmp_path, tiny_folder, "out", **{"processes": 2, "fsdp": True, "spot_check": 0, **changes})
