"""An adapter of a full-length run is the one that was saved, or refused."""

from pathlib import Path

import numpy
import pytest
from refusals import refusal
from safetensors.numpy import save_file

from common.errors import BadInput
from evaluation.answering import load
from finetune.manifest import Manifest, require_whole, saved, write_manifest
from probes.inputs.settings import ModelSettings


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    save_file({"weight": numpy.ones(400)}, folder / "adapter_model.safetensors")
    manifest = Manifest(
        study="s",
        recipe="r",
        origin="o",
        seed=1,
        steps=1,
        sources=(),
        base="b",
        final={},
        seconds=1.0,
        tokens=1,
        files=saved(folder),
    )
    write_manifest(tmp_path, manifest)
    return folder


def test_an_unchanged_adapter_is_accepted_and_so_is_any_adapter_without_a_manifest(adapter: Path) -> None:
    assert refusal(require_whole, adapter) == ""
    (adapter.parent / "finetune.json").unlink()
    (adapter / "adapter_config.json").write_text("{ }", encoding="utf-8")
    assert refusal(require_whole, adapter) == ""


@pytest.mark.parametrize("damage", ["flipped", "gone", "manifest garbled", "manifest a folder"])
def test_what_is_not_as_it_was_saved_is_refused(adapter: Path, damage: str) -> None:
    weights, manifest = adapter / "adapter_model.safetensors", adapter.parent / "finetune.json"
    if damage == "flipped":
        content = bytearray(weights.read_bytes())
        content[-9] ^= 1
        weights.write_bytes(bytes(content))
    elif damage == "gone":
        weights.unlink()
    elif damage == "manifest garbled":
        manifest.write_bytes(b"\xff[" * 20)
    else:
        manifest.unlink()
        manifest.mkdir()
    with pytest.raises(BadInput, match="restore the folder, or train again"):
        require_whole(adapter)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_that_cannot_be_read_is_said_before_the_model_is_loaded(adapter: Path, name: str) -> None:
    (adapter / name).write_bytes((adapter / name).read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"cannot be read .*restore it, or train it again"):
        load(ModelSettings(path="none"), Path(), "none", adapter)
