"""nightlane export as a person types it."""

import json
from pathlib import Path

import exporting
import pytest
from commands import nightlane


def refused(*arguments: object) -> str:
    done = nightlane(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.long
@pytest.mark.slow
def test_a_gguf_adapter_with_its_card_and_commands(tmp_path: Path) -> None:
    adapter, out = exporting.write(tmp_path), tmp_path / "out"
    licences = ("--license", "mit", "--base-license", "apache-2.0", "--data-license", "cc-by-4.0")
    done = nightlane("export", adapter, "--to", "gguf", "--output", out, *licences)
    assert done.returncode == 0, done.stderr
    assert "adapter.gguf, read back and applied to the base" in done.stdout
    assert "llama-server -m base.gguf --lora adapter.gguf" in done.stdout
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card.startswith('---\nlicense: "mit"\nlibrary_name: gguf\n')
    assert "Licence: apache-2.0." in card
    assert "Licence: cc-by-4.0." in card
    assert "Ollama, 0.34.0 and older" in card
    model_file = (out / "Modelfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in model_file if not line.startswith("#")] == ["FROM ./base.gguf", "ADAPTER ./adapter.gguf"]
    assert "is not an empty folder" in refused("export", adapter, "--output", out)


@pytest.mark.slow
def test_a_merged_model_is_given_with_a_warning(tmp_path: Path) -> None:
    done = nightlane("export", exporting.write(tmp_path), "--to", "merged", "--output", tmp_path / "out", "--json")
    found = json.loads(done.stdout)
    assert [check["what"] for check in found["checks"]] == [
        "the base without the adapter",
        "the merged model, loaded from disk",
    ]
    assert found["checks"][1]["difference"]["relative"] < 1e-5
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "**Warning:** this model has an adapter merged in" in card
    assert "Answers before and after the merge, sampled nearly greedily: 4 of 4 are the same" in card


def test_wrong_options_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    out = ("--output", tmp_path / "out")
    assert "--to 'onnx' is no form of an export; give adapter, gguf or merged" in refused(
        "export", tmp_path, "--to", "onnx", *out
    )
    assert "leave one of them out" in refused("export", tmp_path, "--base", "x", "--study", "y", *out)
    assert "holds no adapter" in refused("export", tmp_path, *out)
    missing = nightlane(
        "export", tmp_path, "--to", "gguf", "--llama-cpp", tmp_path, "--base-gguf", tmp_path / "x", *out
    )
    assert missing.returncode == 2
    assert "is not a file; give the base model as a GGUF file" in missing.stderr
