"""What check says of memory: an estimate, and a refusal where the probes of a study cannot fit."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.study.load import load_study
from agent.study.material_check import CheckedStudy, check_study, memory_fit
from agent.workspace.folder import Workspace
from common.errors import BadInput
from probes.memory.fit import Machine
from probes.model import load
from testing import simulated_study
from view.data.study_cost import cost_text

pytestmark = [pytest.mark.slow]


@pytest.fixture
def checked(tmp_path: Path) -> CheckedStudy:
    import architectures

    architectures.write("llama", tmp_path / "llama", architectures.byte_tokenizer())
    asked = (
        ('path = "none"', f'path = "{tmp_path / "llama"}"'),
        ("effective_batch = 4", "effective_batch = 4\nmax_length = 128"),
        ("steps = 20", "steps = 20\nmax_new_tokens = 8"),
        ('kind = "simulated"', 'kind = "resident"\nworkers = 1'),
    )
    text = simulated_study.STUDY
    for before, after in asked:
        text = text.replace(before, after)
    return check_study(load_study(simulated_study.write_study(tmp_path, text)), lambda note: None)


@pytest.mark.long
def test_the_probes_of_a_study_fit_or_are_refused_with_what_would_help(checked: CheckedStudy, tmp_path: Path) -> None:
    found = memory_fit(checked, Machine("cpu", 16.0, 1))
    assert found is not None
    found.require()
    assert found.sentence in cost_text(checked.study, Workspace(tmp_path), found)
    too_many = memory_fit(checked, Machine("cpu", found.machine.needs(found.start.peak) * 3, 8))
    assert too_many is not None
    with pytest.raises(BadInput, match=r"8 workers on the CPU.*workers = 1 under \[runner\], which needs about"):
        too_many.require()


def test_a_type_that_the_processor_is_slow_in_is_named(
    checked: CheckedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, found = checked.study.file, memory_fit(checked, Machine("cpu", 16.0, 1))
    model = file.model.model_copy(update={"dtype": "bfloat16"})
    study = replace(checked.study, file=file.model_copy(update={"model": model}))
    monkeypatch.setattr(load, "CPUINFO", tmp_path / "cpuinfo")

    def says_so(flags: str) -> bool:
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n", encoding="utf-8")
        return 'dtype = "native"' in cost_text(study, Workspace(tmp_path), found)

    assert says_so("avx2")
    assert not says_so("avx2 avx512_bf16")


def test_nothing_is_estimated_where_there_is_no_model(checked: CheckedStudy) -> None:
    assert memory_fit(replace(checked, renderer=None)) is None
