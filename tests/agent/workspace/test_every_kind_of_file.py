"""``nightlane doctor`` finds a flipped bit, a cut and an empty file in every kind of file that has digests."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import settings_nights as nights

from agent.loop.start_or_resume.session import Overrides, begin
from agent.workspace.check import check, repair
from agent.workspace.folder import Workspace
from cli.full_length_files import check_full_length_files
from common.digests import with_own_digest
from evaluation.results import altered_files
from probes.train.reference_store import NAME, ReferenceStore
from testing.workspace_files import add_files_with_digests
from view.report.report import write_report


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


DAMAGES = (flip, cut, empty)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A night with an adapter, a failed probe and an evaluation."""
    folder = tmp_path_factory.mktemp("night")
    study = nights.study(folder / "study", {"lanes.curriculum": None})
    workspace = Workspace(folder / "night")
    runner = nights.Runner(study, workspace.runs, 1)
    begin(study, workspace, Overrides(), nights.Silent(), write_report, runner=runner)
    add_files_with_digests(workspace.root)
    assert damaged(workspace) == []
    yield workspace
    assert damaged(workspace) == [], "each test left it as it was"


def damaged(workspace: Workspace) -> list[str]:
    statuses = [*check(workspace), *check_full_length_files(workspace)]
    return [status.message for status in statuses if not status.intact]


def failed_probe(workspace: Workspace) -> Path:
    outcomes = workspace.runs.glob("probe-*/outcome.json")
    return next(path for path in outcomes if "reading" not in json.loads(path.read_text(encoding="utf-8")))


FILES: dict[str, Callable[[Workspace], Path]] = {
    "an adapter": lambda workspace: next(workspace.runs.glob("probe-*/adapter/*.safetensors")),
    "answers": lambda workspace: next(workspace.runs.glob("probe-*/answers.jsonl")),
    "a reading": lambda workspace: next(workspace.runs.glob("probe-*/adapter")).with_name("outcome.json"),
    "a failure": failed_probe,
    "choices of a judge": lambda workspace: next(workspace.runs.glob("session-*/choices-*.json")),
    "a session's recipe": lambda workspace: next(workspace.runs.glob("session-*/recipe.toml")),
    "results of an evaluation": lambda workspace: workspace.runs / "evaluation-1" / "results.jsonl",
    "answers of an evaluation": lambda workspace: workspace.runs / "evaluation-1" / "answers-1.jsonl",
    "a report of an evaluation": lambda workspace: workspace.runs / "evaluation-1" / "report.md",
    "figures of an evaluation": lambda workspace: workspace.runs / "evaluation-1" / "evaluation.json",
    "checksums of the stores": lambda workspace: workspace.runs / "rl_data" / "sums.json",
    "a store": lambda workspace: workspace.runs / "rl_data" / "dpo.jsonl",
    "an export": lambda workspace: workspace.root / "mined" / "train.jsonl",
    "the record of an export": lambda workspace: workspace.root / "mined" / "export.json",
    "a full-length run": lambda workspace: workspace.root / "model" / "adapter" / "adapter_model.safetensors",
    "the record of a full-length run": lambda workspace: workspace.root / "model" / "finetune.json",
    "the start of a full-length run": lambda workspace: workspace.root / "model" / "run.json",
    "the recipe of a full-length run": lambda workspace: workspace.root / "model" / "recipe.toml",
    "a promotion": lambda workspace: workspace.runs / "promotion-1" / "promotion.json",
    "the report of a promotion": lambda workspace: workspace.runs / "promotion-1" / "report.md",
    "an exported adapter": lambda workspace: workspace.root / "exported" / "adapter.gguf",
    "the record of an exported adapter": lambda workspace: workspace.root / "exported" / "adapter_export.json",
    "withdrawals": lambda workspace: workspace.runs / "rl_data" / "withdrawals.jsonl",
}


@pytest.mark.parametrize("file", FILES)
def test_damage_is_found(night: Workspace, file: str) -> None:
    path = FILES[file](night)
    content = path.read_bytes()
    for damage in DAMAGES:
        try:
            damage(path)
            messages = damaged(night)
        finally:
            path.write_bytes(content)
        assert messages, damage.__name__
        assert all("Traceback" not in message and "\n" not in message for message in messages)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_of_what_a_rescore_wrote_and_of_reference_log_probabilities_is_found(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    folder = workspace.runs / "rescore-1-abc"
    folder.mkdir()
    for name in ("probe-1.json", "rescore.json"):
        (folder / name).write_text(with_own_digest(json.dumps({"score": 1.0})), encoding="utf-8")
    store = ReferenceStore(workspace.runs / NAME, "base")
    store.logps([{"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3]}], lambda row: (-1.0, -2.0))
    assert damaged(workspace) == []
    for path in (folder / "probe-1.json", folder / "rescore.json"):
        whole = path.read_bytes()
        damage(path)
        (message,) = damaged(workspace)
        assert message == f"{path.name} cannot be read: the same nightlane rescore makes it again"
        path.write_bytes(whole)
    (workspace.runs / NAME).write_bytes(b"no database" * 100)
    (message,) = damaged(workspace)
    assert "the next DPO probe begins a new one" in message


def test_a_changed_value_in_a_sessions_recipe_is_found(night: Workspace) -> None:
    path = FILES["a session's recipe"](night)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("beta = 0.1", "beta = 0.15"), encoding="utf-8")
    (message,) = damaged(night)
    path.write_text(text, encoding="utf-8")
    assert "a recipe that the ledger does not have" in message
    assert "nightlane report" in message


def test_only_the_damaged_adapter_of_a_probe_is_set_aside(night: Workspace) -> None:
    path = FILES["an adapter"](night)
    outcome = path.parents[1] / "outcome.json"
    content = path.read_bytes()
    flip(path)
    repair(night)
    assert damaged(night) == []
    assert outcome.exists()
    aside = path.parents[1] / "adapter.damaged"
    aside.rename(path.parent)
    path.write_bytes(content)


def test_an_evaluation_without_digests_is_of_an_older_version(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("{}\n", encoding="utf-8")
    assert altered_files(tmp_path) == []
    (tmp_path / "evaluation.json").write_text('{"problems": 1}\n', encoding="utf-8")
    assert altered_files(tmp_path) == []
