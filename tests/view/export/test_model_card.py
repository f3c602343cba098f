"""The model card of an export: what the workspace knows of an adapter is in it."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from holdout_answers import side

from agent.ledger.results.columns import COLUMNS
from agent.study.load import load_study
from evaluation.own_study.evaluate import StudyRequest, evaluate_study
from finetune.export.exported import ExportedModel, ExportKind, ExportRequest
from finetune.manifest import Manifest, TrainedOn, saved, write_manifest
from finetune.promotion.decision import PromotionDecision, PromotionStatus
from finetune.promotion.figures import outcomes
from finetune.promotion.prediction import prediction
from finetune.promotion.promote import Candidate, Promotion, PromotionRequest
from probes.model.load import base_digest
from testing import simulated_study
from view.export.background import background
from view.export.model_card import Licences, card_markdown, export_text
from view.report.promotion import write_promotion
from view.report.study_evaluation import write_study_evaluation

OWN = "def score(prompt, answer, category, checks):\n    return {'score': len(answer) % 11, 'note': 'its length'}\n"
RECIPE = tiny.recipe(learning_rate=2e-3)
KEPT = {
    "time": "2026-11-21T20:00:00Z",
    "session": "s1",
    "id": "s1-003",
    "status": "KEEP",
    "lane": "hyperparameters",
    "knob": "learning_rate",
    "before": "0.001",
    "after": "0.002",
    "delta": "1.25",
    "ci_low": "0.5",
    "ci_high": "2.0",
    "reason": "improved",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a tiny model, a full-length run of it, its evaluation, and the rows of two sessions."""
    folder = tmp_path_factory.mktemp("card")
    text = simulated_study.STUDY.replace('path = "none"', 'path = "model"')
    text = text.replace("[target]", '[scorer]\nkind = "function"\nfunction = "own.py:score"\n[target]')
    simulated_study.write_study(folder, text.replace("samples = 4\n", "samples = 1\nmax_new_tokens = 6\n"))
    (folder / "own.py").write_text(OWN, encoding="utf-8")
    tiny.write_model(folder / "model")
    run = folder / "run"
    tiny.write_adapter(folder / "model", run / "adapter")
    study = load_study(folder / "study.toml")
    manifest = Manifest(
        study=study.name,
        recipe=RECIPE.digest,
        origin="the incumbent of session s1",
        seed=42,
        steps=4,
        sources=(TrainedOn("good", "good.jsonl", "d1", 8, 16, "reviewed", ("row-1",)),),
        base=base_digest(study.material.model, folder),
        final={"loss": 0.5},
        seconds=1.0,
        tokens=100,
        files=saved(run / "adapter"),
        spot_checks={0: 3.25, 4: 4.75},
    )
    write_manifest(run, manifest)
    (run / "recipe.toml").write_text('objective = "orpo"\nlearning_rate = 0.002\n', encoding="utf-8")
    rows = [KEPT, {**KEPT, "session": "s0", "knob": "beta"}, {**KEPT, "status": "DISCARD", "knob": "warmup"}]
    lines = ["\t".join(COLUMNS), *("\t".join(row.get(name, "") for name in COLUMNS) for row in rows)]
    (folder / "results.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = StudyRequest(
        name=study.name,
        material=study.material,
        target=study.target,
        guards=study.guards,
        quantization="none",
        adapters=(run / "adapter",),
        merged=True,
        seeds=1,
    )
    done, where = evaluate_study(asked, folder / "runs", lambda line: None)
    write_study_evaluation(where, done)
    return folder


def promote(workspace: Path, steps: int, status: PromotionStatus, compared: bool = True) -> None:
    """Write a promotion of the run's recipe, at this length. ``compared``: it has answers of both sides."""
    study = load_study(workspace / "study.toml")
    request = PromotionRequest(
        study=study.name,
        material=study.material,
        target="arithmetic",
        guards={"lists": 0.5},
        start=Candidate(tiny.recipe(learning_rate=1e-4), "a test"),
        stands=Candidate(RECIPE, "a test"),
    )
    before, after = side({"arithmetic": 0.2, "lists": 0.5}), side({"arithmetic": 0.9, "lists": 0.5})
    done = Promotion(
        id=f"at-{steps}-steps",
        request=request,
        steps=steps,
        decision=PromotionDecision(status, "improved", f"found at {steps} steps"),
        outcomes=replace(outcomes(before, after, 0.95), newly_passing=(), newly_failing=()) if compared else None,
        prediction=prediction([], 60, 0.95),
    )
    write_promotion(workspace / "runs" / f"promotion-{done.id}", done)


def exported(workspace: Path, output: Path, kind: ExportKind) -> ExportedModel:
    from finetune.export.export import export

    material = load_study(workspace / "study.toml").material
    request = ExportRequest(source=workspace / "run", kind=kind, output=output, material=material)
    return export(request, lambda done: "", lambda line: None)


def test_a_card_says_from_what_how_and_how_good(workspace: Path, tmp_path: Path) -> None:
    done = exported(workspace, tmp_path / "out", "gguf")
    known = background(done.trained.adapter, done.trained.run, workspace)
    card = card_markdown(done, Licences("mit", "apache-2.0", "cc0-1.0"), known)
    assert card.startswith('---\nlicense: "mit"\nlibrary_name: gguf\npipeline_tag: text-generation\n')
    assert '- "orpo"' in card
    assert "LoRA adapter as GGUF of the study simulated" in card
    assert f"4 steps, seed 42, recipe `{RECIPE.digest}`" in card
    assert "reviewed, 1 judged bad" in card
    assert "| arithmetic" in card
    assert "Licence: cc0-1.0." in card
    decided = card.partition("## How it was decided")[2].partition("## Checked")[0]
    assert "learning\\_rate" in decided or "learning_rate" in decided
    assert "+1.25" in decided
    assert "beta" not in decided
    assert "warmup" not in decided
    side = known.side
    assert side is not None
    assert side["form"] is None
    assert f"{side['changes'][0]['delta']:+.2f}" in card


def test_a_card_has_the_spot_checks_and_the_promotion_at_the_length_of_its_run(workspace: Path, tmp_path: Path) -> None:
    done = exported(workspace, tmp_path / "out", "adapter")

    def card() -> str:
        return card_markdown(done, Licences(), background(done.trained.adapter, done.trained.run, workspace))

    assert "No promotion compared this recipe" in card()
    promote(workspace, 50, "HOLD", compared=False)
    assert "**HOLD** (`improved`): found at 50 steps." in card()
    assert "deviation |" not in card()
    promote(workspace, 4, "HOLD")
    promote(workspace, 100, "PROMOTE")
    rows = {line.split("|")[1].strip(): line for line in card().splitlines() if line.startswith("|")}
    assert ("3.25" in rows["0"], "4.75" in rows["4"]) == (True, True)
    assert "**HOLD** (`improved`): found at 4 steps." in card()
    assert "deviation |" in card()
    assert "found at 100 steps" not in card()
    assert "guard, may lose 0.5" in rows["lists"]
    assert "target" in rows["arithmetic"]
    assert "-0.82 to +0.82" in rows["lists"]


def test_a_card_of_an_adapter_that_nobody_evaluated_says_so(workspace: Path, tmp_path: Path) -> None:
    done = exported(workspace, tmp_path / "out", "adapter")
    bare = replace(done, trained=replace(done.trained, run={}, recipe={}))
    card = card_markdown(bare, Licences(), background(done.trained.adapter, {}, tmp_path))
    assert "It was not evaluated in this workspace" in card
    assert "No record of the run that trained it" in card
    assert card.startswith('---\nlicense: "unknown"\n')


def test_the_terminal_shows_checks_and_commands(workspace: Path, tmp_path: Path) -> None:
    done = exported(workspace, tmp_path / "out", "adapter")
    told = export_text(done)
    assert "the exported adapter on the base" in told
    assert "--lora-modules tuned=." in told
