"""Which engine trains a session, as far as the study's settings tell."""

from pathlib import Path

import pytest

from agent.study.engine import runner_settings, why_not_packed
from agent.study.load import load_study
from testing import simulated_study

DORA = '[lanes.hyperparameters]\nlora_variant = { choices = ["lora", "dora"] }\n'


@pytest.mark.parametrize(
    ("runner", "lanes", "engine", "reason"),
    [
        ("", "", "trl", ""),
        ('engine = "packed"\n', "", "packed", ""),
        ('engine = "packed"\ngradient_checkpointing = true\n', "", "trl", "gradient_checkpointing"),
        ('engine = "packed"\n', DORA, "trl", "dora"),
        ("", DORA, "trl", ""),
    ],
)
def test_what_the_packed_engine_cannot_train_is_trained_by_trl(
    tmp_path: Path, runner: str, lanes: str, engine: str, reason: str
) -> None:
    simulated_study.write_data(tmp_path)
    path = tmp_path / "study.toml"
    text = simulated_study.study_text(lanes=lanes) if lanes else simulated_study.study_text()
    path.write_text(text.replace("[runner]\n", f"[runner]\n{runner}"), encoding="utf-8")
    study = load_study(path)
    assert runner_settings(study).engine == engine
    assert reason in why_not_packed(study)
    assert bool(reason) == bool(why_not_packed(study))
