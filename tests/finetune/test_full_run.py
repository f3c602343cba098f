"""Real training of the tiny model at full length, in the process that asks for it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lazily import Lazily
from long_cases import all_but, long_case
from trainable import exported, planned, review, row, stores

from common.digests import file_digest
from common.errors import BadInput, DiskFull, MissingRequirement, NightlaneError
from finetune import run as running
from finetune.manifest import Manifest, is_complete, require_whole
from finetune.plan import TrainingPlan
from lanes import Recipe
from probes.inputs.settings import MemorySettings, ModelSettings
from probes.inputs.training_rows import load_source, order
from probes.model.adapter_files import require_prompt_format
from probes.model.load import base_digest, load_base

if TYPE_CHECKING:
    import torch

    from probes.train import trl
else:
    torch, trl = Lazily("torch"), Lazily("probes.train.trl")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def ready(folder: Path, tiny_folder: Path, **changes: Any) -> TrainingPlan:
    """A run on an export that somebody looked at, with one row judged bad, and on data of the user's own."""
    found = stores(folder)
    review(found, range(4))
    review(found, range(4, 5), "bad")
    exported(found, folder)
    if not (folder / "model").exists():
        (folder / "model").symlink_to(tiny_folder / "model")
    recipe = {"mixture": {"mined": 1.0, "good": 1.0}, "warmup": 0.0, **changes.pop("recipe", {})}
    return planned(folder, found, recipe=recipe, **changes)


def ran(plan: TrainingPlan) -> tuple[Manifest, list[tuple[int, float]]]:
    steps: list[tuple[int, float]] = []
    return running.run(plan, 0, lambda line: steps.append((line["step"], line["loss"]))), steps


@pytest.mark.parametrize("objective", all_but(["orpo"], ["orpo", "dpo"]))
def test_a_run_moves_the_adapter_and_says_what_it_was(
    tmp_path: Path, tiny_folder: Path, objective: str, threads: None
) -> None:
    from safetensors.torch import load_file

    plan = ready(tmp_path, tiny_folder, recipe={"objective": objective})
    manifest, steps = ran(plan)
    out, recipe = tmp_path / "out", plan.request.recipe
    assert {path.name for path in out.iterdir()} == {
        "recipe.toml",
        "run.json",
        "train.jsonl",
        "spot_checks.jsonl",
        "adapter",
        "finetune.json",
    }
    saved = load_file(out / "adapter" / "adapter_model.safetensors")
    second = [value for name, value in saved.items() if "lora_B" in name]
    assert len(second) == 2 * 7
    assert all(bool(value.any()) for value in second), "they start at zero"
    lines = [json.loads(line) for line in (out / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == steps
    assert Recipe.from_toml((out / "recipe.toml").read_text(encoding="utf-8")) == recipe
    assert (manifest.recipe, manifest.steps, manifest.seed, manifest.study) == (recipe.digest, 4, 42, "full")
    assert manifest.base == base_digest(ModelSettings(path="model"), tmp_path)
    require_prompt_format(out / "adapter", ModelSettings(path="model"), tmp_path)
    (tmp_path / "own.jinja").write_text("{% for m in messages %}{{ m.content }}!{% endfor %}", encoding="utf-8")
    with pytest.raises(BadInput, match="with --study in place of --model"):
        require_prompt_format(out / "adapter", ModelSettings(path="model", chat_template="own.jinja"), tmp_path)
    assert manifest.final["loss"] == steps[-1][1]
    assert manifest.tokens > 0 < manifest.seconds
    mined, good = manifest.sources
    assert (mined.name, mined.rows, mined.drawn, mined.looked_at) == ("mined", 8, 8, "reviewed")
    assert (good.name, good.rows, good.drawn, good.looked_at) == ("good", 32, 8, "own")
    assert mined.judged_bad == (row(4).id,)
    assert mined.digest == file_digest(tmp_path / "mined" / "train.jsonl")
    written = json.loads((out / "finetune.json").read_text(encoding="utf-8"))
    assert written["recipe"] == recipe.digest
    assert not {"score", "scores", "target", "baseline"} & set(written), "a full-length run is compared with no probe"


def test_a_run_of_as_many_steps_trains_what_a_probe_trains(tmp_path: Path, tiny_folder: Path, threads: None) -> None:
    """The same rows in the same order, whatever sources the study has besides."""
    plan = ready(tmp_path, tiny_folder, recipe={"curriculum": "source_last"})
    ran(plan)
    base = load_base(ModelSettings(path="model"), tmp_path, "none", "cpu")
    files = {"broken": "broken.jsonl", "mined": "mined/train.jsonl", "good": "good.jsonl"}
    sources = {name: load_source(name, tmp_path / file) for name, file in files.items()}
    rows = order(plan.request.recipe, sources, plan.rows, 42)
    probe = tmp_path / "probe"
    probe.mkdir()
    job = trl.TrainingJob(plan.request.recipe, rows, 42, probe, lambda *_: None)
    trl.train(base, [job], MemorySettings())
    name = "adapter/adapter_model.safetensors"
    assert (probe / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


@pytest.mark.long
def test_on_top_of_an_sft_adapter_one_adapter_holds_both(tmp_path: Path, tiny_folder: Path, threads: None) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model

    bare = load_base(ModelSettings(path="model"), tiny_folder, "none", "cpu")
    lora = LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(bare.model, lora).save_pretrained(tmp_path / "sft")
    settings = ModelSettings(path="model", adapter="sft")
    plan = ready(tmp_path, tiny_folder)
    plan = replace(plan, request=replace(plan.request, material=replace(plan.request.material, model=settings)))
    manifest, _ = ran(plan)
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} >= {"adapter", "combined", "finetune.json"}
    assert manifest.base == base_digest(settings, tmp_path) != base_digest(ModelSettings(path="model"), tmp_path)
    assert manifest.combined["adapter_model.safetensors"] != manifest.files["adapter_model.safetensors"]
    base = load_base(settings, tmp_path, "none", "cpu")
    ids = base.renderer.tokenizer("# double with 3\n", return_tensors="pt")["input_ids"]
    found = []
    for settings_of, adapter in ((settings, "adapter"), (ModelSettings(path="model"), "combined")):
        require_whole(out / adapter)
        loaded = load_base(settings_of, tmp_path, "none", "cpu")
        with torch.no_grad():
            found.append(PeftModel.from_pretrained(loaded.model, str(out / adapter)).eval()(ids).logits)
    assert torch.allclose(found[0], found[1], atol=1e-4)
    with (out / "combined" / "adapter_config.json").open("a") as stream:
        stream.write(" ")
    with pytest.raises(BadInput, match="is not as"):
        require_whole(out / "combined")


def fails(plan: TrainingPlan) -> NightlaneError:
    with pytest.raises(NightlaneError) as told:
        ran(plan)
    assert not is_complete(plan.request.folder)
    assert (plan.request.folder / "recipe.toml").exists()
    return told.value


def test_a_run_that_diverges_is_one_sentence_and_no_complete_run(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, threads: None
) -> None:
    def broken(*arguments: Any) -> Any:
        base = load_base(*arguments)
        with torch.no_grad():
            base.model.model.layers[0].mlp.up_proj.weight[0, 0] = float("nan")
        return base

    monkeypatch.setattr(running, "load_base", broken)
    told = fails(ready(tmp_path, tiny_folder))
    assert isinstance(told, BadInput)
    assert "loss is nan at step 1" in str(told)
    assert "train.jsonl has the curve" in str(told)


def test_rows_that_leave_no_room_for_an_answer_are_told_before_the_run(tmp_path: Path, tiny_folder: Path) -> None:
    with pytest.raises(BadInput, match=r"line 1.* leaves no room for an answer in max_length=8; raise max_length"):
        ready(tmp_path, tiny_folder, recipe={"max_length": 8})


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        ("CUDA out of memory", MissingRequirement, "lower micro_batch or set gradient_check"),
        (OSError(28, "No space left on device"), DiskFull, "free some space"),
        long_case(
            (RuntimeError("Error while serializing: I/O error (os error 28)"), DiskFull, "free some space"),
        ),
        long_case(
            (RuntimeError("[enforce fail at inline_container.cc:672]"), OSError, "a file could not be written whole"),
        ),
        (ValueError("odd"), ValueError, "^odd$"),
    ],
)
def test_what_the_machine_lacks_is_told_and_a_defect_keeps_its_own_error(
    tmp_path: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: None,
    error: Exception | str,
    kind: type[Exception],
    told: str,
) -> None:
    from probes.train import trl as training

    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError(error) if isinstance(error, str) else error

    monkeypatch.setattr(training, "_trainer", fail)
    plan = ready(tmp_path, tiny_folder)
    with pytest.raises(kind, match=told):
        ran(plan)
    assert not is_complete(plan.request.folder)


def test_a_folder_without_a_model_is_refused_before_anything_is_written(tmp_path: Path, threads: None) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(BadInput, match=r"without config\.json"):
        ready(tmp_path, tmp_path)
    assert not (tmp_path / "out").exists()
