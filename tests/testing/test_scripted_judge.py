import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from probes.endpoint import retry as patience
from probes.inputs.prompts import Prompt
from probes.scoring import Answer, Mark
from probes.scoring.judge.judgement import UnreadableJudgement, read_judgement
from probes.scoring.judge.question import scoring_question
from probes.scoring.judge.question_kinds import scoring_kind
from probes.scoring.judge.requests.client import SHORT
from probes.scoring.judge.rubric import load_rubric
from probes.scoring.judge.scorer import JudgeScorer
from probes.scoring.judge.settings import JudgeSettings
from testing.scripted_endpoint.faults import FAULTS
from testing.scripted_endpoint.replies import ScriptedReply
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

RUBRIC = """
scale = { low = 1, high = 5 }
component = [
    { name = "voice", weight = 2, definition = "d" },
    { name = "facts", weight = 1, definition = "d" },
]
critical = [{ name = "empty", definition = "d", cap = 0 }]
"""
PROMPT = Prompt("p", "probe", "c", 1, "Why?", {})
READABLE = {"comma missing", "no overall", "prose and a fence"}  # these cost no second request


def marks(folder: Path, texts: list[str], rule: str, seed: int = 0, refuses: tuple[str, ...] = ()) -> list[Mark]:
    (folder / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
    with ScriptedEndpoint([{"judge": rule}], seed=seed, refuses=refuses) as endpoint:
        settings = JudgeSettings(model=MODEL, cache=f"{rule}-{seed}-{len(refuses)}")
        scorer = JudgeScorer(settings, folder, endpoint.environment)
        found = scorer.score([Answer(PROMPT, text) for text in texts])
        scorer.close()
    assert all(isinstance(mark, Mark) for mark in found)
    return [mark for mark in found if isinstance(mark, Mark)]


def test_judgements_are_computed_from_the_request_and_the_seed(tmp_path: Path) -> None:
    texts = [f"answer {number}" for number in range(40)]
    first = marks(tmp_path, texts, "hash")
    assert {len(mark.critical) for mark in first} == {0, 1}
    assert len({mark.value for mark in first}) > 10
    assert marks(tmp_path, texts, "hash", refuses=("response_format",)) == first
    assert marks(tmp_path, texts, "hash", seed=1) != first


def test_more_different_words_are_worth_more(tmp_path: Path) -> None:
    texts = ["", "so so so so so so", "a b c d e f g h i j k l", " ".join(f"w{n}" for n in range(60))]
    values = [mark.value for mark in marks(tmp_path, texts, "words")]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] > 8


def test_any_other_request_gets_a_plain_reply() -> None:
    with (
        ScriptedEndpoint([{"judge": "hash"}]) as endpoint,
        openai.OpenAI(base_url=endpoint.base_url, api_key="any") as client,
    ):
        for content in ("hello", '{"answer": 1}'):
            reply = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
            assert reply.choices[0].message.content == "OK"


@pytest.mark.parametrize("name", ["rhyme", True, 1])
def test_a_rule_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="judge"):
        ScriptedEndpoint([json.loads(json.dumps({"judge": name}))])


# faults


def answers(count: int) -> list[str]:
    return [" ".join(f"w{word}" for word in range(number % 41)) + f" {number}" for number in range(count)]


def asked(folder: Path, texts: Sequence[str]) -> list[dict[str, Any]]:
    """What the scorer sends for each of the answers."""
    (folder / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
    rubric = load_rubric(folder / "rubric.toml")
    form = scoring_kind(rubric)
    return [{"model": MODEL, "messages": form.messages(scoring_question(rubric, PROMPT, text))} for text in texts]


def replies(requests: Sequence[dict[str, Any]], faults: float, times: int = 1, seed: int = 0) -> list[ScriptedReply]:
    """The replies to each of the requests at the last of so many times."""
    with ScriptedEndpoint([{"judge": "words", "faults": faults}], seed=seed) as endpoint:
        given = [[endpoint.take(request)[1] for request in requests] for _ in range(times)]
    return given[-1]


@pytest.mark.long
def test_a_scorer_gets_the_same_marks_from_an_endpoint_with_every_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.05)
    (tmp_path / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
    found: dict[float, list[Any]] = {}
    for share in (0.0, 0.6):
        with ScriptedEndpoint([{"judge": "words", "faults": share}]) as endpoint:
            settings = JudgeSettings(model=MODEL, cache=f"cache-{share}", concurrency=8, timeout=1.0)
            scorer = JudgeScorer(settings, tmp_path, endpoint.environment)
            found[share] = scorer.score([Answer(PROMPT, text) for text in answers(200)])
            scorer.close()
            made, requests = endpoint.faults, len(endpoint.requests)
    assert set(made) == set(FAULTS)
    assert made.total() == pytest.approx(0.6 * 200, abs=20)
    assert requests == 200 + sum(count for name, count in made.items() if name not in READABLE)
    assert [scored(mark) for mark in found[0.6]] == [scored(mark) for mark in found[0.0]]
    assert sum("judge_overall" not in mark.components for mark in found[0.6]) == made["no overall"]


def scored(mark: Mark) -> Mark:
    """Without the judge's own impression, which the fault "no overall" takes away and no score has a part of."""
    return replace(mark, components={name: part for name, part in mark.components.items() if name != "judge_overall"})


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_the_very_judgement_or_none(tmp_path: Path, name: str) -> None:
    plain = replies(asked(tmp_path, ["one two three"]), 0.0)[0].content
    assert plain is not None
    rubric = load_rubric(tmp_path / "rubric.toml")
    reply = ScriptedReply(**FAULTS[name](plain))
    judgement = read_judgement(plain, rubric)
    if name in READABLE or reply.delay:
        read = read_judgement(reply.content or "", rubric)
        assert replace(read, overall=judgement.overall) == judgement
        assert (read.overall is None) == (name == "no overall")
    elif reply.content is not None and reply.finish_reason != "length":
        with pytest.raises(UnreadableJudgement):
            read_judgement(reply.content, rubric)


def test_which_questions_meet_a_fault_follows_from_the_seed_and_not_from_the_order(tmp_path: Path) -> None:
    requests = asked(tmp_path, answers(100))
    plain = replies(requests, 0.0)

    def faulty(order: Sequence[int], seed: int = 0) -> set[int]:
        given = replies([requests[number] for number in order], 0.5, seed=seed)
        expected = plain if seed == 0 else replies(requests, 0.0, seed=seed)
        return {number for number, reply in zip(order, given, strict=True) if reply != expected[number]}

    forwards = faulty(range(100))
    assert len(forwards) == pytest.approx(50, abs=15)
    assert faulty(range(99, -1, -1)) == forwards
    assert faulty(range(100), seed=1) != forwards


def test_a_question_that_is_asked_again_gets_the_plain_judgement(tmp_path: Path) -> None:
    requests = asked(tmp_path, answers(40))
    assert replies(requests, 1.0, times=2) == replies(requests, 0.0)
    told = [
        {**request, "messages": [*request["messages"], {"role": "user", "content": "again"}]} for request in requests
    ]
    assert replies([*requests, *told], 1.0)[40:] == replies(requests, 0.0)


def test_a_short_question_that_checks_the_endpoint_meets_no_fault() -> None:
    with ScriptedEndpoint([{"judge": "words", "faults": 1.0}]) as endpoint:
        contents = {endpoint.take({"model": MODEL, "messages": SHORT})[1].content for _ in range(30)}
        assert contents == {"OK"}
        assert not endpoint.faults


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_of_faults_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="faults"):
        ScriptedEndpoint([{"judge": "words", "faults": share}])
