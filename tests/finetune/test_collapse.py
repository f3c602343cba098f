"""A run whose answers collapse is ended, whatever its loss and its rewards say. With a model that really collapses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from taught import write_scorer
from trainable import asked, stores

from common.errors import BadInput
from finetune import run as running
from finetune.manifest import Manifest, require_whole
from finetune.plan import TrainingPlan, plan
from finetune.start import read_start
from probes.inputs.settings import ModelSettings
from probes.model.adapter_files import require_prompt_format
from probes.scoring.function import FunctionSettings
from probes.train.curve import read_curve

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def ready(folder: Path, taught_folder: Path, learning_rate: float) -> TrainingPlan:
    found = stores(folder)
    write_scorer(folder)
    (folder / "model").symlink_to(taught_folder / "model")
    recipe = {"objective": "dpo", "learning_rate": learning_rate, "mixture": {"good": 1.0}}
    request = asked(folder, steps=40, save_every=2, recipe=recipe)
    material = request.material
    probe = material.probe.model_copy(update={"max_new_tokens": 40})
    material = replace(material, probe=probe, scorer=FunctionSettings(function="own.py:score"))
    return plan(replace(request, material=material), found)


@pytest.mark.long
def test_answers_that_collapse_end_the_run_and_the_last_good_checkpoint_is_named(
    tmp_path: Path, taught_folder: Path
) -> None:
    planned = ready(tmp_path, taught_folder, 0.03)
    with pytest.raises(BadInput) as told:
        running.run(planned, 1, lambda _: None)
    folder = planned.request.folder
    record = json.loads((folder / "finetune.json").read_text(encoding="utf-8"))
    assert (record["status"], record["failure"]) == ("FAILED", "collapsed")
    assert record["done"] < record["steps"] == 40
    means = {int(step): mean for step, mean in record["spot_checks"].items()}
    assert means[0] > 9
    assert means[record["done"]] < 5
    curve = read_curve(folder / "train.jsonl")
    assert curve[-1]["rewards_margin"] > curve[0]["rewards_margin"], "by its rewards, the run went well"
    assert curve[-1]["loss"] < curve[0]["loss"]
    good = folder / record["checkpoint"]
    assert f"the last good checkpoint is {good}: use that one, or lower learning_rate" in str(told.value)
    assert means[int(good.name.removeprefix("checkpoint-"))] > 5
    require_prompt_format(good, ModelSettings(path="model"), tmp_path)
    assert not (folder / "adapter").exists()
    with pytest.raises(BadInput, match=r"the run of .* is FAILED; go on with nightlane finetune --resume"):
        require_whole(folder / "adapter")
    with pytest.raises(BadInput, match="failed for a reason that would come again"):
        read_start(folder)


@pytest.fixture(scope="module")
def good_run(tmp_path_factory: pytest.TempPathFactory, taught_folder: Path) -> tuple[TrainingPlan, Manifest]:
    planned = ready(tmp_path_factory.mktemp("good"), taught_folder, 0.001)
    return planned, running.run(planned, 1, lambda _: None)


@pytest.mark.long
def test_a_run_that_goes_well_is_not_ended(good_run: tuple[TrainingPlan, Manifest]) -> None:
    _, done = good_run
    assert (done.status, done.done) == ("COMPLETE", 40)
    last = done.spot_checks[40]
    assert last is not None
    assert last > 5


@pytest.mark.long
def test_a_spot_check_asks_holdout_prompts_alone(good_run: tuple[TrainingPlan, Manifest]) -> None:
    planned, _ = good_run
    lines = (planned.request.folder / "spot_checks.jsonl").read_text(encoding="utf-8").splitlines()
    asked_prompts = {answer["prompt"] for line in lines for answer in json.loads(line)["answers"]}
    assert asked_prompts == {prompt.id for prompt in planned.request.material.prompts_of("holdout")}
