"""``nightlane pairs score``: imported pairs get scores from a study's scorer, and can then be certified."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from commands import nightlane

from agent.study.load import load_study
from cli.example_studies import write_example_study
from preferences.certify.certify_store import certify_texts
from preferences.scoring.plan import DONE, HAS_SCORES, NO_CHECKS, known_prompts, plan_scoring
from preferences.scoring.score_store import StoreScoring, score_rows
from preferences.store.stores import Stores
from probes.scoring import scorer_digest
from testing import simulated_study
from testing.scripted_endpoint.server import ScriptedEndpoint

ASKED = "The bell on my bicycle came broken."
GOOD = "I am sorry about the bell. Bring the bicycle in and we will fit a new one while you wait, at no cost."
BAD = "Honestly, a bell is an amazing thing to lose, and of course that can happen to anybody who buys one, lol!!!"


def imported(workspace: Path, kind: str, *rows: dict[str, Any], category: str = "complaints") -> Path:
    """A study of this kind and a store with these pairs; returns the study's path."""
    write_example_study(workspace / "study", kind)
    study = workspace / "study" / "study.toml"
    pairs = workspace / "pairs.jsonl"
    simulated_study.write_jsonl(pairs, rows)
    data(workspace, "import", pairs, "--kind", "preference", "--category", category, "--study", study)
    return study


def data(workspace: Path, *arguments: object, **environment: Any) -> Any:
    done = nightlane("pairs", *arguments, "--workspace", workspace, "--json", **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def score(workspace: Path, study: Path, **known: Any) -> StoreScoring:
    """As the command does, in this process."""
    loaded, stores = load_study(study), Stores(workspace / "runs" / "rl_data")
    prompts = known_prompts(loaded.material, known.get("prompts"), known.get("category", ""))
    plan = plan_scoring("preference", stores.read("preference"), loaded.material, prompts)
    return score_rows(stores, plan, loaded.material, loaded.name, lambda note: None, lambda done, total: None)


def pair(**more: Any) -> dict[str, Any]:
    return {"prompt": ASKED, "chosen": GOOD, "rejected": BAD, **more}


def test_a_pair_without_scores_is_scored_by_rules_and_then_certified_with_the_studys_limits(tmp_path: Path) -> None:
    study = imported(tmp_path, "rules", pair())
    files = sorted((tmp_path / "runs" / "rl_data").iterdir())
    plan = data(tmp_path, "score", "--study", study, "--dry-run")
    assert (plan["rows"], plan["answers"], plan["judge"], plan["other_categories"]) == (1, 2, None, {})
    assert sorted((tmp_path / "runs" / "rl_data").iterdir()) == files, "a dry run writes nothing"
    strict = study.with_name("strict.toml")
    text = study.read_text(encoding="utf-8")
    strict.write_text(f"{text}\n[text_gate]\nmost_length_ratio = 1.0\nlength_slack = 0\n", encoding="utf-8")
    refused = data(tmp_path, "certify", "--kind", "preference", "--text", "--study", strict)["refused"][0]
    assert set(refused["layers"]) == {"components", "length"}
    done = data(tmp_path, "score", "--study", study)
    assert done["scored"][0]["margin"] > 3
    assert data(tmp_path, "certify", "--kind", "preference", "--text", "--study", strict)["certified"] == 0
    assert data(tmp_path, "certify", "--kind", "preference", "--text", "--study", study)["new_orpo_rows"] == 1
    row = data(tmp_path, "list", "--kind", "preference")[0]
    assert row["scoring"]["scorer"] == done["scorer"] == scorer_digest(load_study(study).scorer, study.parent)
    assert row["provenance"]["chosen"]["bar"] == "rules"
    limits = {one["layer"]: one["figures"] for one in row["receipt"]["receipts"]}
    assert (limits["length"]["most_length_ratio"], limits["components"]["least_score"]) == (3.0, 7.0)
    (orpo,) = data(tmp_path, "list", "--kind", "orpo")
    assert orpo["chosen_score"] == row["chosen_score"]


def test_a_row_is_scored_again_only_by_another_scorer_and_its_own_scores_stay(tmp_path: Path) -> None:
    study = imported(tmp_path, "rules", pair(), pair(prompt="Mine, too.", chosen_score=9, rejected_score=1))
    assert len(score(tmp_path, study).scored) == 1
    again = score(tmp_path, study)
    assert (again.plan.rows, again.plan.left_out) == ((), {DONE: 1, HAS_SCORES: 1})
    rules = study.with_name("rules.toml")
    before = rules.read_text(encoding="utf-8")
    rules.write_text(before.replace("high = 70", "high = 12"), encoding="utf-8")
    (row,) = score(tmp_path, study).scored
    rules.write_text(before, encoding="utf-8")
    (back,) = score(tmp_path, study).scored
    scores = [one.scores[0] or 0.0 for one in (row, back)]
    assert scores[0] < scores[1], "the latest scoring counts, also when it is of a scorer that scored before"
    stores = Stores(tmp_path / "runs" / "rl_data")
    own = next(one for one in stores.read("preference") if one.row.prompt == "Mine, too.")
    assert (own.scores, own.scoring) == ((9, 1), None)


def test_votes_flip_scores_with_the_texts_and_a_reversed_row_is_named(tmp_path: Path) -> None:
    study = imported(tmp_path, "rules", pair(chosen=BAD, rejected=GOOD))
    done = nightlane("pairs", "score", "--study", study, "--workspace", tmp_path)
    assert "1 row whose rejected side scores as much or more" in done.stdout
    (before,) = data(tmp_path, "list")
    after = data(tmp_path, "vote", before["id"], "flip")
    assert after["margin"] == -before["margin"] > 0
    assert after["provenance"]["chosen"]["figures"] == before["provenance"]["rejected"]["figures"]


def test_a_judge_is_priced_before_it_is_asked_and_asked_once(tmp_path: Path) -> None:
    study = imported(tmp_path, "judge", pair(), category="mine")
    text = study.read_text(encoding="utf-8")
    prices = re.sub(r"^# (dollars_per_million_\w+) = 0\.0", r"\1 = 10.0", text, count=2, flags=re.MULTILINE)
    study.write_text(prices, encoding="utf-8")
    with ScriptedEndpoint([{"judge": "words"}]) as endpoint:
        judge = {"OPENAI_JUDGE_BASE_URL": endpoint.base_url, "OPENAI_JUDGE_MODEL": "m"}
        plan = data(tmp_path, "score", "--study", study, "--dry-run", **judge)
        assert endpoint.requests == []
        assert plan["judge"]["judgements"] == 2
        assert 0.01 < plan["judge"]["dollars"] < 0.2
        assert plan["other_categories"] == {"mine": 1}
        done = data(tmp_path, "score", "--study", study, "--category", "complaints", **judge)
        assert done["judge"]["calls"] == 2
        assert 0 < done["judge"]["dollars"] < plan["judge"]["dollars"]
        assert data(tmp_path, "score", "--study", study, **judge)["left_out"] == {DONE: 1}
    figures = data(tmp_path, "list")[0]["provenance"]["chosen"]["figures"]
    assert {one["name"] for one in figures} >= {"answers", "kind", "plain"}


def test_programs_are_scored_by_the_checks_of_their_prompt(tmp_path: Path) -> None:
    harvest = "Write a Python function evens(numbers) that keeps the even ones, in order."
    rows = [
        {"prompt": harvest, "chosen": "def evens(n):\n    return [x for x in n if x % 2 == 0]", "rejected": "pass"},
        {"prompt": "Twice.", "chosen": "def twice(x):\n    return 2 * x", "rejected": "def twice(x):\n    return x"},
    ]
    study = imported(tmp_path, "code", *rows)
    done = score(tmp_path, study)
    assert [row.scores for row in done.scored] == [(10, 0)]
    assert done.plan.left_out == {NO_CHECKS: 1}
    checks = tmp_path / "checks.jsonl"
    cases = [{"args": [2], "expected": 4}, {"args": [0], "expected": 0}]
    simulated_study.write_jsonl(checks, [{"prompt": "Twice.", "checks": {"entry_point": "twice", "cases": cases}}])
    assert [row.scores for row in score(tmp_path, study, prompts=checks).scored] == [(10, 5)]


def test_a_function_of_the_users_own_scores_and_what_it_cannot_judge_stays_without_scores(tmp_path: Path) -> None:
    study = imported(tmp_path, "rules", pair(), pair(prompt="Skip this."))
    own = "def score(prompt, answer, category, checks):\n    return None if 'Skip' in prompt else len(answer) % 10\n"
    study.with_name("own.py").write_text(own, encoding="utf-8")
    text = study.read_text(encoding="utf-8")
    text = text.replace('kind = "rules" ', 'kind = "function" ').replace(
        'rules = "rules.toml"', 'function = "own.py:score"'
    )
    study.write_text(text, encoding="utf-8")
    done = score(tmp_path, study)
    assert [row.scores for row in done.scored] == [(len(GOOD) % 10, len(BAD) % 10)]
    assert done.missing == {"the function gave None": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kind", "reward"), "its rows all have a score"),
        (("--category", "howtoo"), "did you mean 'howto'?"),
        (("--prompts", "none.jsonl"), "none.jsonl does not exist"),
    ],
)
def test_a_wrong_command_line_says_what_to_give(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    write_example_study(tmp_path / "study", "rules")
    study = tmp_path / "study" / "study.toml"
    done = nightlane("pairs", "score", "--study", study, *arguments, "--workspace", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_the_usual_limits_leave_the_digest_of_a_certificate_as_it_was(tmp_path: Path) -> None:
    study = imported(tmp_path, "rules", pair(chosen_score=9, rejected_score=1))
    stores, limits = Stores(tmp_path / "runs" / "rl_data"), load_study(study).file.text_gate
    usual, same, other = (
        certify_texts(stores, "preference", lambda done, total: None, None, one).rows[0].certificate
        for one in (limits, type(limits)(), limits.model_copy(update={"least_score": 9.5}))
    )
    assert usual == same
    assert other.against != usual.against
    assert other.failed == ("components",)
