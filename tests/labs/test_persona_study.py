"""The two persona studies, the rubric and the rules are ones that the product accepts, and agree with each other."""

import tomllib
from pathlib import Path
from random import Random
from typing import Any

import pytest
from refusals import refusal

from labs.persona.material import LAB as MATERIAL
from labs.persona.texts import CATEGORIES, VOICES, answer, ask
from probes.inputs.prompts import Prompt, load_prompts
from probes.scoring import Answer, Mark
from probes.scoring.judge.rubric import load_rubric
from probes.scoring.rules.scorer import RulesScorer, RulesSettings

LAB = Path(__file__).parents[2] / "labs" / "persona"
STUDIES = ("study.toml", "study-rules.toml")


def table(name: str) -> dict[str, Any]:
    return tomllib.loads((LAB / name).read_text(encoding="utf-8"))


def test_the_rubric_weighs_five_components_and_says_what_every_category_wants() -> None:
    rubric = load_rubric(LAB / "rubric.toml")
    weights = {component.name: component.weight for component in rubric.component}
    assert weights == {"voice": 25, "rhetorical": 20, "historical": 20, "position": 20, "integrity": 15}
    assert set(rubric.categories) == set(CATEGORIES)
    assert {"breaks_character", "modern_anachronism", "refuses", "empty"} == set(rubric.failures)


def test_the_rules_measure_every_category() -> None:
    assert refusal(RulesScorer.check, RulesSettings(), LAB, load_prompts(LAB / "prompts.jsonl")) == ""


def test_the_rules_prefer_the_persona_to_every_other_voice() -> None:
    scorer, random = RulesScorer(RulesSettings(), LAB), Random(1)
    values: dict[str, list[float]] = {voice: [] for voice in VOICES}
    for voice in VOICES:
        for category in CATEGORIES * 20:
            question, subject = ask(category, random)
            prompt = Prompt("one", "probe", category, 1, question, {})
            mark = scorer.score([Answer(prompt, answer(voice, category, subject, random))])[0]
            assert isinstance(mark, Mark)
            values[voice].append(mark.value)
    assert min(values["keeper"]) == 10
    assert max(values["ornate"]) < 9
    assert sum(values["modern"]) / len(values["modern"]) < 5
    assert max(values["assistant"]) <= 3


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("I am a woman of seventy-one. I kept a lamp and nobody wound me up.", "OK"),
        ("I am a language model and I have no views on that.", "breaks_character"),
        ("I looked it up on the internet and wrote it down.", "modern_anachronism"),
        ("I am sorry, but I will not say.", "refuses"),
        ("", "EMPTY"),
    ],
)
def test_a_critical_failure_of_the_rubric_is_one_of_the_rules(text: str, outcome: str) -> None:
    prompt = Prompt("one", "probe", "doubt", 1, "Do you know?", {})
    mark = RulesScorer(RulesSettings(), LAB).score([Answer(prompt, text)])[0]
    assert isinstance(mark, Mark)
    assert mark.outcome == outcome
    assert (mark.value == 10) == (outcome == "OK")
    caps = {critical.name: critical.cap for critical in load_rubric(LAB / "rubric.toml").critical}
    assert mark.value <= caps.get(outcome.lower(), 10)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_reads_what_the_lab_makes_and_guards_every_category_but_its_target(name: str) -> None:
    study = table(name)
    assert {study["target"]["category"], *study["guards"]} == set(CATEGORIES)
    paths = [study["model"]["path"], *study["data"]["sources"].values()]
    assert sorted(paths) == sorted(f"build/{made}" for made in MATERIAL.made)
    assert (LAB / study["prompts"]["file"]).is_file()
    assert (LAB / study["proposer"]["program"]).is_file()


def test_the_studies_differ_in_who_scores_and_what_that_costs() -> None:
    judged, ruled = (table(name) for name in STUDIES)
    assert (LAB / judged["scorer"]["rubric"]).is_file()
    assert (LAB / ruled["scorer"]["rules"]).is_file()
    assert judged["probe"]["samples"] < ruled["probe"]["samples"]
    assert {key for key in judged if judged[key] != ruled[key]} == {"name", "scorer", "probe", "budget", "runner"}
