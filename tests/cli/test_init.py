"""``nightlane init``: the study of every kind is complete, passes its check and lasts a night."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import tiny
from commands import nightlane
from long_cases import all_but
from pydantic import BaseModel

from agent.study.load import load_study
from agent.study.schema import StudyFile
from cli.example_studies import DEFAULT, KINDS, texts_of, write_example_study
from common.errors import BadInput
from preferences.text_gate.settings import TextGateSettings
from probes.inputs.prompts import Prompt
from probes.scoring import Answer, Mark, scorer_class
from probes.scoring.judge.calibration import load_calibration
from probes.scoring.judge.rubric import Rubric
from probes.scoring.judge.settings import JudgeSettings
from probes.scoring.rules import ruleset

NAMES = [one.kind for one in KINDS]
TEXTS = {one.kind: texts_of(one) for one in KINDS}


def keys_of(model: type[BaseModel]) -> set[str]:
    """Every key of a table and of the tables in it."""
    found = set(model.model_fields)
    for field in model.model_fields.values():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found |= keys_of(inner)
    return found


def comments(text: str) -> str:
    return "\n".join(re.findall(r"#.*", text))


@pytest.mark.parametrize("kind", all_but(["code"], NAMES))
def test_a_written_study_passes_the_check_and_a_simulated_night(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "mine"
    assert nightlane("init", folder, "--kind", kind).returncode == 0
    done = nightlane("check", folder / "study.toml", "--workspace", tmp_path, "--offline")
    assert done.returncode == 0, done.stderr
    study = folder / "study.toml"
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("\n[runner]\n", '\n[runner]\nkind = "simulated"\n'), encoding="utf-8")
    done = nightlane("run", study, "--workspace", tmp_path, "--probes", 40)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "results.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) > 3
    assert Path(done.stdout.strip()).exists()


def test_without_a_kind_it_is_code_and_the_others_are_named(tmp_path: Path) -> None:
    done = nightlane("init", tmp_path / "mine")
    assert {Path(line).name for line in done.stdout.split()} == set(TEXTS[DEFAULT.kind])
    assert all(f"{name}: " in done.stderr for name in NAMES)
    refused = nightlane("init", tmp_path / "other", "--kind", "rulez")
    assert refused.returncode == 2
    assert "did you mean 'rules'?" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_the_pages_that_the_files_name_are_there() -> None:
    texts = "".join(text for files in TEXTS.values() for text in files.values())
    named = set(re.findall(r"docs/[\w-]+\.md", texts))
    assert named
    assert [name for name in named if not (Path(__file__).parents[2] / name).exists()] == []


@pytest.mark.parametrize(("folder", "name"), [("tea shop", "tea-shop"), ("\u8336", "my-study")])
def test_a_study_has_the_name_of_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    study, *_ = write_example_study(tmp_path / folder)
    assert load_study(study).name == name


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_example_study(tmp_path, "judge")
    with pytest.raises(BadInput, match="overwrites nothing"):
        write_example_study(tmp_path, "rules")
    assert not (tmp_path / "rules.toml").exists()


@pytest.mark.parametrize("kind", NAMES)
def test_every_category_is_asked_in_every_split_and_the_model_reads_its_files(tmp_path: Path, kind: str) -> None:
    write_example_study(tmp_path, kind)
    study = load_study(tmp_path / "study.toml")
    study.check_material()
    asked = {split: {prompt.category for prompt in study.material.prompts_of(split)} for split in ("probe", "harvest")}
    asked["holdout"] = {prompt.category for prompt in study.material.prompts_of("holdout")}
    assert all(categories == {study.target, *study.guards} for categories in asked.values())
    assert study.target in study.program
    assert scorer_class(study.scorer.kind).kind == {"code": "execution"}.get(kind, kind)


@pytest.mark.parametrize("kind", NAMES)
def test_every_recipe_field_is_shown_and_every_key_of_the_scorer_too(kind: str) -> None:
    text = TEXTS[kind]["study.toml"]
    for field in tiny.recipe().model_dump():
        assert f"\n{field} = " in text, f"{field} is not shown"
    section = text[text.index("[scorer]") : text.index("[target]")]
    shown = set(re.findall(r"^(?:# )?(\w+) = ", section, re.MULTILINE))
    scorer = tomllib.loads(text)["scorer"]["kind"]
    assert shown == set(scorer_class(scorer).Settings.model_fields)
    uncommented = re.sub(r"^# (?=\w+ = )", "", section, flags=re.MULTILINE)
    settings = scorer_class(scorer).Settings.model_validate(tomllib.loads(uncommented)["scorer"])
    changed = {name: own for name, own in vars(settings).items() if own != vars(type(settings)())[name]}
    assert set(changed) <= {"calibration"}, "a commented-out value is the default"


@pytest.mark.parametrize("section", ["probe", "harvest", "policy", "proposer", "runner", "budget"])
def test_a_value_that_is_commented_out_is_the_default(section: str) -> None:
    """A limit of the budget that has no default is an example."""
    text = TEXTS[DEFAULT.kind]["study.toml"]
    lines = re.split(rf"^(?:# )?\[{section}\]$", text, flags=re.MULTILINE)[1].partition("\n\n")[0]
    shown = tomllib.loads("\n".join(re.findall(r"^# (\w+ = .*)", lines, re.MULTILINE)))
    defaults = StudyFile.model_fields[section].default
    assert shown
    assert {key: getattr(defaults, key) for key in shown if getattr(defaults, key) is not None}.items() <= shown.items()


def test_the_limits_of_the_text_gate_are_all_shown_with_their_values() -> None:
    text = TEXTS[DEFAULT.kind]["study.toml"]
    section = text[text.index("# [text_gate]") :].partition("\n\n")[0]
    shown = tomllib.loads("\n".join(line.removeprefix("# ") for line in section.splitlines()))["text_gate"]
    assert shown == TextGateSettings().model_dump()


@pytest.mark.parametrize("kind", NAMES)
def test_gpu_and_cpu_settings_are_named(kind: str) -> None:
    text = TEXTS[kind]["study.toml"]
    for key in ("path", "optimizer", "quantization", "gradient_checkpointing", "workers", "threads"):
        assert re.search(rf"^(?:# )?{key} = .*CPU:", text, re.MULTILINE), key


def test_the_rules_have_and_explain_every_key_that_the_loader_knows() -> None:
    text = TEXTS["rules"]["rules.toml"]
    rules = tomllib.loads(text)["rule"]
    explained = comments(text)
    for kind, rule in ruleset.KINDS.items():
        own = set(rule.model_fields) - set(ruleset.CountRule.model_fields)
        of_kind = {key for row in rules if row["kind"] == kind for key in row}
        assert own <= of_kind, f"{own - of_kind} of kind {kind}"
    used = {key for row in rules for key in row}
    assert used == set().union(*(rule.model_fields for rule in ruleset.KINDS.values()))
    for key in used:
        assert re.search(rf"^# +(?:\w+, )*{key}\b", explained, re.MULTILINE), key
    assert {row["kind"] for row in rules} == set(ruleset.KINDS)


def test_the_rubric_has_and_explains_every_key_that_the_loader_knows() -> None:
    text = TEXTS["judge"]["rubric.toml"]

    def keys(table: Any) -> set[str]:
        inner = table.values() if isinstance(table, dict) else table if isinstance(table, list) else ()
        return set(table if isinstance(table, dict) else ()) | {key for one in inner for key in keys(one)}

    rubric = tomllib.loads(text)
    assert keys_of(Rubric) <= keys(rubric)
    for key in keys_of(Rubric):
        assert re.search(rf"\b{key}\b", comments(text)), key
    for variable in ("OPENAI_JUDGE_BASE_URL", "OPENAI_JUDGE_API_KEY", "OPENAI_JUDGE_MODEL"):
        assert variable in comments(text)


def test_the_calibration_set_examines_a_judge_in_every_category(tmp_path: Path) -> None:
    write_example_study(tmp_path, "judge")
    study = load_study(tmp_path / "study.toml")
    assert isinstance(study.scorer, JudgeSettings)
    items = load_calibration(study.scorer, tmp_path)
    assert {item.prompt.category for item in items} == {study.target, *study.guards}
    asked = {prompt.text for prompt in study.material.all_prompts}
    assert not asked & {item.prompt.text for item in items}


def test_the_rules_tell_the_chosen_answers_from_the_rejected(tmp_path: Path) -> None:
    write_example_study(tmp_path, "rules")
    study = load_study(tmp_path / "study.toml")
    scorer = scorer_class("rules")(study.scorer, tmp_path)
    files = [TEXTS["rules"][f"{name}.jsonl"] for name in study.file.data.sources]
    rows = [json.loads(line) for text in files for line in text.splitlines()]

    def scores(side: str) -> list[float]:
        answers = [Answer(Prompt("x", "harvest", "howto", 1, row["prompt"], {}), row[side]) for row in rows]
        return [mark.value for mark in scorer.score(answers) if isinstance(mark, Mark)]

    assert all(good > bad for good, bad in zip(scores("chosen"), scores("rejected"), strict=True))
