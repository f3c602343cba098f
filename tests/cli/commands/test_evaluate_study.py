"""``nightlane evaluate STUDY``: a study's base and adapters on its own prompts, by its own scorer."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tiny
from commands import nightlane

from agent.study.load import load_study
from agent.workspace.check import check
from agent.workspace.folder import Workspace
from common.errors import BadInput, MissingRequirement
from evaluation.llama_cpp.tools import LlamaCpp
from evaluation.own_study.evaluate import StudyEvaluation, StudyRequest, evaluate_study
from probes.model.adapter_files import note_prompt_format
from probes.model.load import base_digest, load_renderer
from testing import simulated_study
from view.report.study_evaluation import write_study_evaluation

OWN = "def score(prompt, answer, category, checks):\n    return {'score': len(answer) % 11, 'note': 'its length'}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a tiny model, scored by a function of its own; and two adapters for it."""
    folder = tmp_path_factory.mktemp("made")
    text = simulated_study.STUDY.replace('path = "none"', 'path = "model"')
    text = text.replace("[target]", '[scorer]\nkind = "function"\nfunction = "own.py:score"\n[target]')
    simulated_study.write_study(folder, text.replace("samples = 4\n", "samples = 2\nmax_new_tokens = 6\n"))
    (folder / "own.py").write_text(OWN, encoding="utf-8")
    tiny.write_model(folder / "model")
    for name in ("one/adapter", "two/adapter"):
        tiny.write_adapter(folder / "model", folder / name)
    return folder


@pytest.fixture
def noted() -> list[str]:
    return []


def request(made: Path, **changes: Any) -> StudyRequest:
    study = load_study(made / "study.toml")
    values: dict[str, Any] = {"name": study.name, "target": study.target, "guards": study.guards, "seeds": 2}
    return StudyRequest(**{**values, "material": study.material, "quantization": "none", **changes})


def evaluated(asked: StudyRequest, workspace: Path, noted: list[str]) -> StudyEvaluation:
    done, folder = evaluate_study(asked, workspace / "runs", noted.append)
    write_study_evaluation(folder, done)
    return done


def test_base_and_adapter_are_compared_by_category_and_nothing_enters_a_ledger(made: Path, tmp_path: Path) -> None:
    study, adapter = made / "study.toml", made / "one" / "adapter"
    arguments = ("evaluate", study, "--adapter", adapter, "--seeds", 2, "--workspace", tmp_path, "--split", "holdout")
    done = nightlane(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    base, side = data["sides"]
    assert (data["kind"], data["split"], data["answers"], base["changes"]) == ("study", "holdout", 2 * 8 * 2 * 2, [])
    assert [change["category"] for change in side["changes"]] == ["overall", "arithmetic", "lists"]
    overall = side["changes"][0]
    assert overall["low"] < overall["delta"] < overall["high"]
    assert overall["base"] == base["levels"][0]["mean"]
    assert {one["which"] for one in side["examples"]} == {"best", "typical", "worst"}
    assert all(one["base"]["text"] != one["answer"]["text"] for one in side["examples"] if one["which"] != "typical")
    assert "look at the holdout" in data["warning"]
    assert not (tmp_path / "results.tsv").exists()
    assert not (tmp_path / "runs" / "ledger.sqlite").exists()
    (folder,) = (tmp_path / "runs").glob("evaluation-*")
    assert {path.name for path in folder.iterdir() if not path.name.startswith("answers-")} == {
        "report.md",
        "evaluation.json",
    }
    assert len(list(folder.glob("answers-*.jsonl"))) == 4
    again = nightlane(*arguments)
    assert "taken over from earlier evaluations: 4 of 4" in again.stderr
    assert "This workspace has 1 earlier look at these prompts." in again.stdout
    assert all(status.intact for status in check(Workspace(tmp_path)) if "evaluation-" in status.path)


def test_only_what_is_new_is_asked_and_a_damaged_file_is_not_taken_over(
    made: Path, tmp_path: Path, noted: list[str]
) -> None:
    first = evaluated(request(made), tmp_path, noted)
    assert (first.taken_over, first.sides[0].changes) == (0, ())
    adapters = (made / "one" / "adapter", made / "two" / "adapter")
    second = evaluated(request(made, adapters=adapters), tmp_path, noted)
    assert second.taken_over == 2
    assert second.sides[0].levels == first.sides[0].levels
    assert [note for note in noted if note.startswith("base, seed")] == [
        f"base, seed {n} of 2: 16 answers" for n in (1, 2)
    ]
    assert evaluated(request(made, seeds=3), tmp_path, noted).taken_over == 2
    for path in (tmp_path / "runs").glob("evaluation-*/answers-*.jsonl"):
        path.write_text(path.read_text(encoding="utf-8").replace('"score": ', '"score": 1'), encoding="utf-8")
    assert evaluated(request(made), tmp_path, noted).sides[0].levels == first.sides[0].levels


def test_another_prompt_scorer_or_setting_is_another_question(made: Path, tmp_path: Path, noted: list[str]) -> None:
    evaluated(request(made), tmp_path, noted)
    own = made / "own.py"
    own.write_text(OWN.replace("% 11", "% 7"), encoding="utf-8")
    try:
        assert evaluated(request(made), tmp_path, noted).taken_over == 0
        own.write_text(OWN.replace("len(answer)", "[][1]"), encoding="utf-8")
        with pytest.raises(MissingRequirement, match="an answer could not be judged"):
            evaluated(request(made), tmp_path, noted)
    finally:
        own.write_text(OWN, encoding="utf-8")
    assert evaluated(request(made), tmp_path, noted).taken_over == 2


def refusal(made: Path, adapter: Path, workspace: Path) -> str:
    with pytest.raises(BadInput) as refused:
        evaluate_study(request(made, adapters=(adapter,)), workspace / "runs", lambda note: None)
    return str(refused.value)


def test_an_adapter_of_another_base_or_template_is_refused_with_the_reason(made: Path, tmp_path: Path) -> None:
    import shutil

    def copied(name: str) -> Path:
        return Path(shutil.copytree(made / "one", tmp_path / name)) / "adapter"

    study = load_study(made / "study.toml").material
    trained = copied("trained")
    own = base_digest(study.model, study.folder)
    trained.with_name("probe.json").write_text(json.dumps({"key": {"base": "0123"}}), encoding="utf-8")
    assert f"(base 0123) than that of this study ({own})" in refusal(made, trained, tmp_path)
    other = tmp_path / "model"
    shutil.copytree(made / "model", other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True, "x": 1}), encoding="utf-8")
    named = copied("named")
    settings = json.loads((named / "adapter_config.json").read_text(encoding="utf-8"))
    text = json.dumps({**settings, "base_model_name_or_path": str(other)})
    (named / "adapter_config.json").write_text(text, encoding="utf-8")
    assert f"was trained on the base model {other}" in refusal(made, named, tmp_path)
    asked = copied("asked")
    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}<{{ m.content }}>{% endfor %}", encoding="utf-8")
    changed = study.model.model_copy(update={"chat_template": str(template)})
    note_prompt_format(asked, load_renderer(changed, study.folder))
    assert "another chat template or tokenizer" in refusal(made, asked, tmp_path)
    wide = copied("wide")
    tiny.write_model(tmp_path / "wide-model", hidden=128)
    tiny.write_adapter(tmp_path / "wide-model", wide)
    settings = json.loads((wide / "adapter_config.json").read_text(encoding="utf-8"))
    text = json.dumps({**settings, "base_model_name_or_path": "gone/model"})
    (wide / "adapter_config.json").write_text(text, encoding="utf-8")
    assert "does not fit this study's base model" in refusal(made, wide, tmp_path)
    assert "holds no adapter" in refusal(made, tmp_path / "nothing", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--split", "harvest"), "--split 'harvest' is not one that a study is evaluated on"),
        (("--seeds", "42,7"), "give a whole number, such as 3"),
        (("--seeds", "0"), "give 1 or more"),
        (("--temperature", "0.3"), "--temperature is for problems"),
        (("--adapter", "a", "--adapter", "a"), "is given twice"),
        (("--problems", "p.jsonl"), "--problems is for problems"),
    ],
)
def test_a_wrong_command_line_says_what_to_give(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    study = simulated_study.write_study(tmp_path)
    done = nightlane("evaluate", study, *arguments, "--workspace", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing was given"),
        (("p.jsonl", "--problems", "p.jsonl"), "p.jsonl and p.jsonl was given"),
        (("p.jsonl", "--split", "probe", "--samples", "s"), "--split is for a study"),
        (("p.jsonl", "--model", "m", "--adapter", "a", "--adapter", "b"), "give one --adapter"),
    ],
)
def test_problems_are_evaluated_as_before(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = nightlane("evaluate", *arguments, "--workspace", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_an_adapter_is_compared_with_itself_merged(made: Path, tmp_path: Path, noted: list[str]) -> None:
    """In float32 a merged model answers as the adapter does, from the same random numbers."""
    adapter = made / "one" / "adapter"
    done = evaluated(request(made, adapters=(adapter,), merged=True), tmp_path, noted)
    base, own, merged = done.sides
    assert merged.side.form == "merged"
    assert [change.delta for change in merged.from_adapter] == [0.0] * len(own.levels)
    assert merged.levels == own.levels != base.levels
    (folder,) = (tmp_path / "runs").glob("evaluation-*")
    assert not list(folder.glob(".models-*"))
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "## Side by side:" in report
    again = evaluated(request(made, adapters=(adapter,), merged=True), tmp_path, noted)
    assert again.taken_over == 6


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"merged": True}, "--merged merges adapters into the base, and none was given"),
        ({"llama_cpp": LlamaCpp(Path("nowhere"))}, "llama.cpp quantises merged adapters, and --merged was not given"),
    ],
)
def test_forms_of_nothing_are_refused(made: Path, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=re.escape(why)):
        request(made, **changes)


def test_a_folder_without_llama_cpp_is_refused(made: Path, tmp_path: Path, noted: list[str]) -> None:
    asked = request(made, adapters=(made / "one" / "adapter",), merged=True, llama_cpp=LlamaCpp(tmp_path))
    with pytest.raises(MissingRequirement, match="has no llama-server, there or in bin or build/bin"):
        evaluated(asked, tmp_path, noted)


def test_options_of_a_study_are_refused_with_problems(tmp_path: Path) -> None:
    done = nightlane("evaluate", "--problems", tmp_path / "x.jsonl", "--merged")
    assert done.returncode == 2
    assert "--merged is for a study; leave it out" in done.stderr
