"""A whole promotion, with full-length runs of a small model that was taught to write functions."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from commands import require_documented
from taught import write_scorer
from trainable import asked, stores

from common.errors import BadInput
from finetune.promotion.promote import Candidate, Promotion, PromotionRequest, _plans, promote
from finetune.run import OnLine
from preferences.store.stores import Stores
from probes.inputs.settings import PromptSettings
from probes.scoring.function import FunctionSettings
from view.report.promotion import promotion_data, promotion_markdown, write_promotion

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@contextmanager
def quiet(steps: int) -> Iterator[OnLine]:
    yield lambda line: None


def ready(folder: Path, taught_folder: Path, stands: float, **changes: Any) -> tuple[PromotionRequest, Stores]:
    """From a learning rate that does nothing to ``stands``, by DPO."""
    found = stores(folder)
    write_scorer(folder)
    (folder / "model").symlink_to(taught_folder / "model")
    material = asked(folder).material
    material = replace(
        material,
        scorer=FunctionSettings(function="own.py:score"),
        probe=material.probe.model_copy(update={"max_new_tokens": 40}),
    )
    first, last = (
        Candidate(tiny.recipe(objective="dpo", learning_rate=rate, mixture={"good": 1.0}), f"rate {rate}", delta)
        for rate, delta in ((1e-6, None), (stands, 1.0))
    )
    request = PromotionRequest(
        study="full", material=material, target="lists", guards={"arithmetic": 1.5}, start=first, stands=last, steps=8
    )
    return replace(request, **changes), found


def promoted(request: PromotionRequest, found: Stores, folder: Path, notes: list[str]) -> Promotion:
    return promote(request, found, folder / "runs", 1, quiet, notes.append)


@pytest.mark.long
def test_its_runs_are_trained_by_as_many_processes_as_asked(tmp_path: Path, taught_folder: Path) -> None:
    request, found = ready(tmp_path, taught_folder, 2e-6)
    plans = _plans(replace(request, processes=2), found, tmp_path / "runs")
    assert {one.request.processes for one in plans.values()} == {2}
    with pytest.raises(BadInput, match="--processes 3 does not divide"):
        promoted(replace(request, processes=3), found, tmp_path, [])


@pytest.mark.long
def test_a_promotion_that_was_cut_off_goes_on_and_uses_what_is_there(tmp_path: Path, taught_folder: Path) -> None:
    request, found = ready(tmp_path, taught_folder, 2e-6, steps=6)
    begun = 0

    @contextmanager
    def cut(steps: int) -> Iterator[OnLine]:
        nonlocal begun
        begun += 1

        def on_line(line: Mapping[str, Any]) -> None:
            if begun == 3 and line["step"] == 5:
                raise KeyboardInterrupt

        yield on_line

    with pytest.raises(KeyboardInterrupt):
        promote(request, found, tmp_path / "runs", 1, cut, lambda _: None)
    runs = sorted((tmp_path / "runs").glob("finetune-*"))
    states = sorted(json.loads((run / "finetune.json").read_text(encoding="utf-8"))["status"] for run in runs)
    assert states == ["COMPLETE", "COMPLETE", "STOPPED"]
    notes: list[str] = []
    done = promoted(request, found, tmp_path, notes)
    assert sum("is used again" in note for note in notes) == 2
    assert len(list((tmp_path / "runs").glob("finetune-*"))) == 6
    assert (done.decision.status, done.decision.reason) == ("HOLD", "no_effect")
    assert done.outcomes is not None
    assert done.outcomes.seeds == (7, 42, 123)
    assert done.steps == 6
    again: list[str] = []
    assert promotion_data(promoted(request, found, tmp_path, again)) == promotion_data(done)
    require_documented(["promote"], json.dumps(promotion_data(done)))
    assert sum("is used again" in note for note in again) == 6
    assert not any("answers" in note for note in again), "the answers are kept, too"
    write_promotion(tmp_path / "runs" / f"promotion-{done.id}", done)
    report = (tmp_path / "runs" / f"promotion-{done.id}" / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# HOLD: full at full length")
    assert "is not known: 1 recipes were measured at both lengths" in report


@pytest.mark.long
def test_a_recipe_that_collapses_at_full_length_is_held(tmp_path: Path, taught_folder: Path) -> None:
    request, found = ready(tmp_path, taught_folder, 0.05, steps=12)
    done = promoted(request, found, tmp_path, [])
    assert (done.decision.status, done.decision.reason) == ("HOLD", "failed")
    assert "the recipe that stands failed at full length with seed 42: the answers to 8 holdout prompts score" in (
        done.decision.explanation
    )
    assert done.outcomes is None, "a failure is no score"
    assert len(done.failed) == 1, "further seeds of it are not trained"
    assert "**Failed:** recipe" in promotion_markdown(done)


@pytest.mark.long
def test_nothing_is_trained_for_a_recipe_that_still_stands(tmp_path: Path, taught_folder: Path) -> None:
    request, found = ready(tmp_path, taught_folder, 1e-6)
    done = promoted(request, found, tmp_path, [])
    assert (done.decision.status, done.decision.reason) == ("HOLD", "same_recipe")
    assert not list((tmp_path / "runs").glob("finetune-*"))


def test_what_cannot_be_promoted_is_refused(tmp_path: Path, taught_folder: Path) -> None:
    request, found = ready(tmp_path, taught_folder, 2e-6)
    with pytest.raises(BadInput, match="a promotion needs 3 or more different seeds"):
        replace(request, seeds=(1, 2))
    with pytest.raises(BadInput, match="a promotion needs 3 or more different seeds"):
        replace(request, seeds=(1, 2, 2))
    lines = (tmp_path / "prompts.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "few.jsonl").write_text("".join(line for line in lines if '"holdout"' not in line), encoding="utf-8")
    material = replace(request.material, prompts=PromptSettings(file="few.jsonl"))
    with pytest.raises(BadInput, match=r"a promotion asks the holdout prompts, and .*few\.jsonl has none"):
        promoted(replace(request, material=material), found, tmp_path, [])
