"""Exports in llama.cpp itself: make test-serving LLAMA_CPP=DIR."""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import exporting
import pytest
from commands import nightlane
from lazily import Lazily

from common.errors import NightlaneError
from evaluation.llama_cpp.tools import LlamaCpp
from finetune.export.exported import ExportedModel, ExportRequest

if TYPE_CHECKING:
    import finetune.export.export as exporter
else:
    exporter = Lazily("finetune.export.export")

pytestmark = pytest.mark.serving
LAB = Path(__file__).parents[3] / "labs" / "smollm"


@pytest.fixture
def tools() -> LlamaCpp:
    folder = os.environ.get("LLAMA_CPP", "")
    if not folder:
        pytest.fail("these tests need llama.cpp; run make test-serving LLAMA_CPP=DIR")
    return LlamaCpp(Path(folder))


def exported(adapter: Path, output: Path, tools: LlamaCpp, **changes: object) -> ExportedModel:
    values: dict[str, object] = {"source": adapter, "kind": "gguf", "output": output, "llama_cpp": tools}
    return exporter.export(ExportRequest(**{**values, **changes}), lambda done: "", print)  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"])
@pytest.mark.parametrize("rslora", [False, True])
def test_llama_cpps_own_converter_writes_the_same_tensors(
    tmp_path: Path, tools: LlamaCpp, architecture: str, rslora: bool
) -> None:
    """The converter reads the configuration of the base alone. It takes rsLoRA for plain LoRA: its alpha is 6, and the
    right one is 6 times the root of the rank."""
    from finetune.export.llama_check import compare_with_converter

    adapter = exporting.write(tmp_path, architecture, use_rslora=rslora)
    exporter.export(
        ExportRequest(source=adapter, kind="gguf", output=tmp_path / "out"), lambda done: "", lambda line: None
    )
    found = compare_with_converter(tools, adapter, tmp_path / "model", tmp_path / "out" / "adapter.gguf", tmp_path)
    assert found.tensors == 2 * 2 * len(exporting.LAYERS)
    assert found.largest == 0
    assert found.alphas == ((12.0, 6.0) if rslora else (6.0, 6.0))


@pytest.fixture(scope="module")
def smollm() -> Path:
    """The base of the lab."""
    from labs._build.command import PrintedProgress
    from labs.smollm import build

    build(LAB / "build", PrintedProgress())
    return LAB / "build" / "base"


@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_answers_in_llama_cpp_as_in_peft(
    tmp_path: Path, tools: LlamaCpp, smollm: Path, rslora: bool
) -> None:
    adapter = exporting.write_adapter(smollm, tmp_path / "adapter", use_rslora=rslora)
    exporting.weaken(adapter, 0.1)
    done = exported(adapter, tmp_path / "out", tools)
    print(done.checks, done.llama, done.converter)
    assert done.llama is not None
    assert done.llama.adapter < done.llama.base / 4
    assert done.llama.same_tokens == done.llama.prompts
    assert done.converter is not None
    assert done.converter.largest == 0


def test_an_adapter_on_another_base_is_seen_in_llama_cpp(tmp_path: Path, tools: LlamaCpp, smollm: Path) -> None:
    """llama.cpp takes any base of the same shapes, and so the check must see it."""
    from safetensors.torch import load_file, save_file

    adapter = exporting.write_adapter(smollm, tmp_path / "adapter")
    exporting.weaken(adapter, 0.1)
    other = tmp_path / "other"
    shutil.copytree(smollm, other)
    weights = load_file(other / "model.safetensors")
    turned = {name: value.flip(0).contiguous() for name, value in weights.items() if "v_proj" in name}
    save_file(weights | turned, other / "model.safetensors", {"format": "pt"})
    tools.model_to_gguf(other, tmp_path / "other.gguf")
    with pytest.raises(NightlaneError, match=r"llama\.cpp must be given the base that the adapter was trained on"):
        exported(adapter, tmp_path / "out", tools, base_gguf=tmp_path / "other.gguf")
    assert not (tmp_path / "out").exists()


def test_adapter_merged_and_quantised_side_by_side(tmp_path: Path, tools: LlamaCpp, smollm: Path) -> None:
    adapter = exporting.write_adapter(smollm, tmp_path / "adapter", r=8)
    exporting.weaken(adapter, 0.01)
    done = nightlane(
        *("evaluate", LAB / "study.toml", "--adapter", adapter, "--merged", "--llama-cpp", tools.folder.resolve()),
        *("--seeds", 1, "--json", "--workspace", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    sides = json.loads(done.stdout)["sides"]
    assert [side["form"] for side in sides] == [None, None, "merged", "Q4_K_M", "Q5_K_M", "Q8_0"]
    assert all(len(side["from_adapter"]) == len(sides[0]["levels"]) for side in sides[2:])
