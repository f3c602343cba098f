"""Every endpoint of a study is asked one question before anything is trained."""

import re
from pathlib import Path
from typing import Any

import pytest
from judging import RUBRIC

from agent.study.endpoint_trials import EndpointTrial, first_situation, try_endpoints
from agent.study.load import Study, load_study
from probes.model.load import load_renderer
from testing import simulated_study
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint
from view.terminal.endpoint_trials import trial_line, trials_text

NOWHERE = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": MODEL}
JUDGE = '[scorer]\nkind = "judge"\nmodel = "scripted"\ndollars_per_million_output = 1e6\n[target]'
PERSONA = RUBRIC.replace("weather", "lists").replace("memory", "arithmetic")


def study(folder: Path, *changes: tuple[str, str], simulated: bool = True) -> Study:
    text = simulated_study.STUDY
    for before, after in (*changes, *([] if simulated else [('kind = "simulated"', 'kind = "resident"')])):
        assert before in text
        text = text.replace(before, after)
    (folder / "study").mkdir()
    (folder / "study" / "rubric.toml").write_text(PERSONA, encoding="utf-8")
    return load_study(simulated_study.write_study(folder / "study", text))


def tried(of: Study, environment: dict[str, str]) -> list[EndpointTrial]:
    return list(try_endpoints(of, environment))


def test_the_proposer_is_asked_for_its_first_proposal_and_shown_with_its_time(tmp_path: Path) -> None:
    of = study(tmp_path, ("[budget]", "[proposer]\ndollars_per_million_output = 1e6\n[budget]"))
    with ScriptedEndpoint([{"pick": "legal"}]) as server:
        (one,) = tried(of, server.environment)
    assert len(server.requests) == 1
    assert (one.required, one.trial.problem, one.trial.failure) == (False, "", "")
    assert one.trial.dollars > 1
    line = trial_line(one)
    assert re.match(rf"proposer: scripted at {server.base_url}/ answered in \d+\.\d s, for \$\d+, it kept", line)
    assert "it kept to the schema: " in line
    assert '"knob"' in line


def test_a_judge_is_asked_for_a_judgement_and_a_server_for_an_answer(tmp_path: Path) -> None:
    served = ("[probe]", '[serving]\nkind = "endpoint"\nmodel = "scripted"\n[probe]')
    of = study(tmp_path, ("[target]", JUDGE), served, simulated=False)
    with ScriptedEndpoint([{"judge": "words"}]) as server:
        trials = tried(of, server.environment)
    assert [one.trial.role for one in trials] == ["proposer", "judge", "answers"]
    assert [one.required for one in trials] == [False, True, True]
    assert all(one.trial.said and not one.trial.failure and not one.trial.problem for one in trials)
    assert trials[1].trial.dollars > 1
    assert trials_text(trials).count("\n- ") == 3


SERVED = ("[probe]", '[serving]\nkind = "endpoint"\nmodel = "scripted"\n[probe]')
ALONE, TOGETHER = {"content": "steady words"}, {"content": "other words"}


def test_a_server_of_answers_is_asked_alone_and_under_load(tmp_path: Path) -> None:
    of = study(tmp_path, SERVED, simulated=False)
    with ScriptedEndpoint([{"answer": "words"}]) as server:
        answers = next(one for one in tried(of, server.environment) if one.trial.role == "answers")
    assert "as text, 8 of 8 answers were the same one by one and all at once: " in trial_line(answers)


def test_a_server_of_answers_gets_the_prompts_as_the_base_renders_them(tmp_path: Path, tiny_folder: Path) -> None:
    of = study(tmp_path, SERVED, ('path = "none"', f'path = "{tiny_folder / "model"}"'), simulated=False)
    with ScriptedEndpoint([{"answer": "words"}]) as server:
        tried(of, server.environment)
    sent = [request["prompt"] for request in server.requests if "prompt" in request]
    tokenizer = load_renderer(of.file.model, of.path.parent).tokenizer
    assert sent[0] == tokenizer(of.material.probe_prompts[0].text)["input_ids"]
    assert len(sent) == 17


@pytest.mark.parametrize("required", [False, True])
def test_answers_that_depend_on_the_load_are_told_and_refused_where_the_study_says_they_do_not(
    tmp_path: Path, required: bool
) -> None:
    batch_invariant = (SERVED[0], SERVED[1].replace("[probe]", "batch_invariant = true\n[probe]"))
    of = study(tmp_path, batch_invariant if required else SERVED, simulated=False)
    with ScriptedEndpoint([{"pick": "legal"}, *[ALONE] * 9, *[ALONE] * 3, *[TOGETHER] * 5]) as server:
        answers = next(one for one in tried(of, server.environment) if one.trial.role == "answers")
    assert "3 of 8 answers were the same one by one and all at once" in trial_line(answers)
    assert ("VLLM_BATCH_INVARIANT=1" in answers.trial.failure) is required


def test_a_simulated_study_without_an_endpoint_asks_nobody(tmp_path: Path) -> None:
    of = study(tmp_path, ("[target]", JUDGE))
    assert tried(of, {}) == []
    assert trials_text([]) == ""


@pytest.mark.parametrize(
    ("reply", "refuses", "told"),
    [
        ({"content": "I would raise beta."}, [], "it did not keep to the form of a reply (it is not one JSON object)"),
        (
            {"pick": "legal"},
            ["response_format"],
            "asked without the schema, which it refused (InternalServerError: Error code: 500",
        ),
        ({"pick": "legal"}, ["response_format"], "and it kept to the form of a reply: {"),
    ],
)
def test_what_is_wrong_with_a_reply_and_with_schemas_is_told(
    tmp_path: Path, reply: dict[str, Any], refuses: list[str], told: str
) -> None:
    with ScriptedEndpoint([reply], refuses=refuses, refusal=500) as server:
        (one,) = tried(study(tmp_path), server.environment)
    assert told in trial_line(one)


@pytest.mark.parametrize(("kind", "required"), [("auto", False), ("language_model", True)])
def test_an_endpoint_where_nobody_listens_is_one_sentence_with_its_remedy(
    tmp_path: Path, kind: str, required: bool
) -> None:
    of = study(tmp_path, ("[budget]", f'[proposer]\nkind = "{kind}"\n[budget]'))
    (one,) = tried(of, NOWHERE)
    assert one.required is required
    line = trial_line(one)
    assert "Connection refused" in line
    assert 'or set kind = "optuna" under [proposer]' in line
    assert ("while it is set" in line) is not required
    assert "\n" not in line


def test_a_slow_endpoint_names_the_key_that_sets_its_time(tmp_path: Path) -> None:
    of = study(tmp_path, ("[budget]", "[proposer]\ntimeout = 0.2\ndollars_per_million_output = 1e6\n[budget]"))
    with ScriptedEndpoint([{"content": "late", "delay": 30}]) as server:
        (one,) = tried(of, server.environment)
    assert "(it sent no reply within 0.2 s); raise timeout under [proposer]" in one.trial.failure
    assert trial_line(one).endswith(", may have cost $1e+03")


def test_a_study_that_requires_what_is_not_set_is_told_so(tmp_path: Path) -> None:
    of = study(tmp_path, ("[target]", JUDGE.replace('model = "scripted"\n', "")), simulated=False)
    (one,) = tried(of, {})
    assert one.trial.failure.startswith("[scorer] model is missing")


def test_a_judge_without_an_endpoint_is_told_which_variables_to_set(tmp_path: Path) -> None:
    (one,) = tried(study(tmp_path, ("[target]", JUDGE), simulated=False), {})
    assert one.required
    assert "no endpoint is set; set OPENAI_JUDGE_BASE_URL or OPENAI_BASE_URL" in one.trial.failure


def test_a_reply_is_shown_on_one_printable_line(tmp_path: Path) -> None:
    with ScriptedEndpoint([{"content": "\n\x1b[2Jfirst \x07line" + "x" * 300 + "\nsecond"}]) as server:
        (one,) = tried(study(tmp_path), server.environment)
    assert one.trial.said.isprintable()
    assert one.trial.said.startswith("[2Jfirst line")
    assert len(one.trial.said) == 100


def test_the_question_holds_the_moves_of_a_first_turn(tmp_path: Path) -> None:
    of = study(tmp_path)
    found = first_situation(of)
    assert found.lane == "hyperparameters"
    assert dict(found.moves) == of.lanes.moves(of.start, "hyperparameters")
    assert found.budget_left.startswith("8 of 8 decisions")
