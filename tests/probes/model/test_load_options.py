"""How a base is loaded: GGUF files, data types that the machine chooses, attention, and downloads that are watched."""

import threading
import warnings
from pathlib import Path

import pytest

from common import optional_dependencies
from common.errors import BadInput, MissingRequirement
from probes.inputs.settings import ModelSettings
from probes.model import download, load


@pytest.fixture
def gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSettings:
    """A file with that name, and a package that seems to be installed."""
    monkeypatch.setitem(optional_dependencies.EXTRAS, "gguf", {"json": "gguf"})
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    return ModelSettings(path="model.gguf")


def test_a_gguf_file_is_a_model_in_its_folder(tmp_path: Path, gguf: ModelSettings) -> None:
    where = load.locate(gguf, tmp_path)
    assert load.stored(where) == {"pretrained_model_name_or_path": str(tmp_path.resolve()), "gguf_file": "model.gguf"}
    assert load.stored("owner/name") == {"pretrained_model_name_or_path": "owner/name"}
    before = load.base_digest(gguf, tmp_path)
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    assert load.base_digest(gguf, tmp_path) == before
    (tmp_path / "model.gguf").write_bytes(b"GGUF2")
    assert load.base_digest(gguf, tmp_path) != before


def test_without_its_package_a_gguf_file_is_refused_with_the_command(
    tmp_path: Path, gguf: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(optional_dependencies.EXTRAS, "gguf", {"no_such_module": "gguf"})
    with pytest.raises(MissingRequirement, match=r"model\.gguf.*run: pip install 'nightlane\[gguf\]'"):
        load.locate(gguf, tmp_path)


def test_a_gguf_file_is_not_quantised_again(tmp_path: Path, gguf: ModelSettings) -> None:
    with pytest.raises(BadInput, match=r"is a GGUF file; set quantization = .none."):
        load.load_base(gguf, tmp_path, "nf4", "cpu")


@pytest.mark.parametrize(
    ("cpuinfo", "native"),
    [
        ("flags : fpu avx512f avx512_bf16", "bfloat16"),
        ("flags : fpu amx_bf16 amx_tile", "bfloat16"),
        ("Features : fp asimd bf16", "bfloat16"),
        ("model name : avx512_bf16\nflags : fpu avx512f", "float32"),
        (None, "float32"),
    ],
)
def test_native_is_bfloat16_where_the_processor_has_it_and_the_key_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str | None, native: str
) -> None:
    monkeypatch.setattr(load, "CPUINFO", tmp_path / "cpuinfo")
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    settings = ModelSettings(path="x", dtype="native")
    assert load.data_type(settings, "cpu") == native
    assert load.note_data_type(settings, "cpu") == f" dtype={native}"
    auto = ModelSettings(path="x")
    assert (load.data_type(auto, "cpu"), load.note_data_type(auto, "cpu")) == ("float32", "")


def test_a_warning_for_pefts_developers_is_not_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        load.load_quietly()
        warnings.warn(
            "`is_gradient_checkpointing` is deprecated and will be removed in v6", FutureWarning, stacklevel=1
        )
        warnings.warn("`other` is deprecated", FutureWarning, stacklevel=1)
    assert [str(one.message) for one in shown] == ["`other` is deprecated"]


@pytest.mark.slow
def test_attention_is_the_one_that_was_asked_for_and_in_the_key_only_then(tiny_folder: Path) -> None:
    plain, eager = ModelSettings(path="model"), ModelSettings(path="model", attn_implementation="eager")
    assert load.load_base(eager, tiny_folder, "none", "cpu").model.config._attn_implementation == "eager"
    assert load.base_digest(eager, tiny_folder) != load.base_digest(plain, tiny_folder)
    assert "attn_implementation" not in plain.model_dump()


def test_a_growing_cache_is_told_as_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(download, "PAUSE", 0.01)
    blobs, seen = tmp_path / "models--owner--name" / "blobs", threading.Event()
    with download.watch_download(ModelSettings(path="owner/name"), tmp_path, seen.set):
        assert not seen.wait(0.1), "nothing is downloaded"
        blobs.mkdir(parents=True)
        (blobs / "abc.incomplete").write_bytes(b"x" * 100_000)
        assert seen.wait(20)
