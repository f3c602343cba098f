"""The judge examined over HTTP: what makes it unfit or another judge, and what its calibration file must be."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judging import RUBRIC, prompt

from common.errors import BadInput, MissingRequirement
from probes.scoring.judge.calibration import load_calibration, ordered_pairs
from probes.scoring.judge.epoch import epoch_file, load_epoch
from probes.scoring.judge.examination import Examination
from probes.scoring.judge.examiner import JudgeExaminer, canaries
from probes.scoring.judge.rubric import load_rubric
from probes.scoring.judge.settings import JudgeSettings
from probes.scoring.protocol import AnswerPair, Context, Missing
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint

ROWS: list[dict[str, Any]] = [
    {"id": "good", "category": "weather", "prompt": "Why?", "answer": "Since it is so.", "low": 6, "high": 10},
    {"id": "bad", "category": "weather", "prompt": "Why?", "answer": "Dunno.", "low": 0, "high": 4},
    {"id": "middling", "category": "memory", "prompt": "How?", "answer": "Somehow, I think.", "low": 2, "high": 8},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
    return write(tmp_path, ROWS)


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / "calibration.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def chosen(**more: Any) -> JudgeSettings:
    return JudgeSettings(model=MODEL, calibration="calibration.jsonl", **more)


@pytest.fixture
def judge(folder: Path) -> Iterator[ScriptedEndpoint]:
    script = {"judge": "words", "known": str(folder / "calibration.jsonl")}
    with ScriptedEndpoint([script]) as endpoint:
        yield endpoint


def looked(folder: Path, judge: ScriptedEndpoint, first: bool = False, **more: Any) -> Examination:
    examiner = JudgeExaminer(chosen(**more), folder, judge.environment)
    found = examiner.examine([prompt()], Context(), first)
    if first:
        examiner.accept(found)
    examiner.close()
    return found


def shifted(judge: ScriptedEndpoint, by: float) -> None:
    judge.restart([judge.replies[-1].model_copy(update={"shift": by})])


def test_a_fit_judge_passes_and_every_answer_without_merit_is_among_what_it_was_asked(
    folder: Path, judge: ScriptedEndpoint
) -> None:
    found = looked(folder, judge, first=True)
    assert (found.unfit, found.moved, found.spread, found.epoch) == ("", "", 0.0, 1)
    kinds = [finding.kind for finding in found.findings]
    assert kinds == ["canary"] * 5 + ["calibration"] * 3 + ["pair"]
    asked = " ".join(request["messages"][-1]["content"] for request in judge.requests)
    for text in canaries(load_rubric(folder / "rubric.toml")).values():
        assert json.dumps({"prompt": "Why?", "answer": text})[1:-1] in asked


@pytest.mark.parametrize("pairwise", [False, True])
def test_an_examination_tells_how_many_of_its_questions_are_answered(
    folder: Path, judge: ScriptedEndpoint, pairwise: bool
) -> None:
    told: list[tuple[int, int]] = []
    examiner = JudgeExaminer(chosen(pairwise=pairwise), folder, judge.environment)
    examiner.examine([prompt()], Context(asked=lambda done, total: told.append((done, total))), True)
    examiner.close()
    questions = 5 + 3 * 3 + 2 * pairwise  # canaries, calibration answers three times, one pair in both orders
    assert told == [(done, questions) for done in range(questions + 1)]
    assert len(judge.requests) == questions


def test_a_judge_without_schemas_is_examined_and_noted_once(folder: Path) -> None:
    script = {"judge": "words", "known": str(folder / "calibration.jsonl")}
    notes: list[str] = []
    with ScriptedEndpoint([script], refuses=["response_format"], refusal=500) as endpoint:
        examiner = JudgeExaminer(chosen(), folder, endpoint.environment)
        found = examiner.examine([prompt()], Context(notes.append), True)
        examiner.close()
    assert found.unfit == ""
    assert len(notes) == 1
    assert "cannot answer with a schema" in notes[0]


def test_a_judge_that_is_too_slow_is_told_with_the_key_to_raise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.scoring.judge.requests.client.FAILURES_BEFORE_CHECK", 1)
    monkeypatch.setattr("probes.endpoint.retry.FIRST_WAIT", 0.01)
    with ScriptedEndpoint([{"judge": "words", "delay": 0.0}]) as endpoint:
        slow = endpoint.replies[0].model_copy(update={"delay": 30.0})
        take = endpoint.take

        def answers_the_short_one(request: dict[str, Any]) -> tuple[int, Any]:
            number, reply = take(request)
            return number, slow if "response_format" in request else reply

        monkeypatch.setattr(endpoint, "take", answers_the_short_one)
        examiner = JudgeExaminer(chosen(timeout=0.2), folder, endpoint.environment)
        found = examiner.examine([prompt()], Context(), False)
        examiner.close()
    assert "it sent no reply within 0.2 s; raise timeout or lower concurrency under [scorer]" in found.unfit


def test_it_is_asked_afresh_each_time_and_a_level_stays_what_it_was_first(
    folder: Path, judge: ScriptedEndpoint
) -> None:
    levels = looked(folder, judge, first=True).levels
    shifted(judge, 0.04)
    asked = len(judge.requests)
    again = looked(folder, judge)
    assert len(judge.requests) > asked
    assert again.moved == ""
    assert again.shift == pytest.approx(0.4)
    shifted(judge, -0.04)
    assert looked(folder, judge, first=True).shift == pytest.approx(0.4)
    assert load_epoch(chosen(), folder).levels == levels


def test_a_calibration_that_moves_is_another_judge(folder: Path, judge: ScriptedEndpoint) -> None:
    looked(folder, judge, first=True)
    shifted(judge, 0.06)
    found = looked(folder, judge)
    assert found.unfit == ""
    assert found.moved == "its calibration moved by 0.60 points where 0.5 may be chance"


def test_a_judge_with_a_spread_of_its_own_may_move_by_more(folder: Path, judge: ScriptedEndpoint) -> None:
    def mark(value: float) -> dict[str, Any]:
        names = ("voice", "rhetorical", "historical", "position", "integrity")
        reply = {"note": "", "critical_failures": [], "components": dict.fromkeys(names, value), "overall": value}
        return {"content": json.dumps(reply)}

    low = [mark(1)] * 5
    judge.restart([*low, *map(mark, (6, 8, 10)), *map(mark, (0, 2, 4)), *map(mark, (3, 5, 7))])
    found = looked(folder, judge, first=True, concurrency=1)
    assert found.spread == pytest.approx(2.0)
    judge.restart([*low, mark(9), mark(1), mark(6)])
    later = looked(folder, judge, concurrency=1)
    assert later.shift == pytest.approx(1.0)
    assert later.most_shift == pytest.approx(2 * 2.0 * (4 / 3) ** 0.5)
    assert later.moved == ""


@pytest.mark.parametrize(
    ("by", "told"),
    [(0.35, "an empty answer got 3.50 and at most 3 was wanted"), (-0.5, "good got 3.00 and 6 to 10 was wanted")],
)
def test_a_judge_that_is_too_kind_or_too_harsh_is_unfit(
    folder: Path, judge: ScriptedEndpoint, by: float, told: str
) -> None:
    shifted(judge, by)
    assert told in looked(folder, judge).unfit


def test_a_judge_that_does_not_tell_good_from_bad_is_unfit(folder: Path, judge: ScriptedEndpoint) -> None:
    swapped = folder / "swapped"
    swapped.mkdir()
    write(swapped, [{**ROWS[0], "answer": ROWS[1]["answer"]}, {**ROWS[1], "answer": ROWS[0]["answer"]}, ROWS[2]])
    judge.restart([{"judge": "words", "known": str(swapped / "calibration.jsonl")}])
    assert "good above bad got -6.00 and above 0 was wanted" in looked(folder, judge, most_out_of_range=0.9).unfit


def test_what_cannot_be_read_is_no_pass(folder: Path, judge: ScriptedEndpoint) -> None:
    judge.restart([{"content": "no"}] * 100)
    found = looked(folder, judge)
    assert "got nothing that can be read (no readable judgement" in found.unfit
    assert found.levels == {}
    assert not any(finding.passed for finding in found.findings)


def test_a_choice_stays_in_both_orders(folder: Path, judge: ScriptedEndpoint) -> None:
    duels = [
        AnswerPair(prompt("p"), "one two three four five six seven", "eight"),
        AnswerPair(prompt("p"), "eight", "one two three four five six seven"),
        AnswerPair(prompt("p"), "eight", "eight"),
    ]
    examiner = JudgeExaminer(chosen(pairwise=True), folder, judge.environment)
    assert examiner.prefer(duels, Context()) == [1.0, -1.0, 0.0]
    judge.restart([{"content": '{"note": "always", "preferred": "first"}'}] * 2)
    assert examiner.prefer([AnswerPair(prompt("q"), "a", "b")], Context()) == [0.0]
    judge.restart([{"content": "neither"}] * 9)
    assert isinstance(examiner.prefer([AnswerPair(prompt("r"), "a", "b")], Context())[0], Missing)
    examiner.close()


def test_the_next_epoch_has_another_number_and_no_levels(folder: Path, judge: ScriptedEndpoint) -> None:
    looked(folder, judge, first=True)
    examiner = JudgeExaminer(chosen(), folder, judge.environment)
    assert examiner.end_epoch() == 2
    examiner.close()
    assert load_epoch(chosen(), folder).levels == {}
    found = looked(folder, judge, first=True)
    assert (found.epoch, found.shift) == (2, None)


def test_an_epoch_that_cannot_be_read_is_told(folder: Path, judge: ScriptedEndpoint) -> None:
    looked(folder, judge, first=True)
    epoch_file(chosen(), folder).write_text("two\n", encoding="utf-8")
    with pytest.raises(MissingRequirement, match="holds the comparison epoch and cannot be read"):
        load_epoch(chosen(), folder)


def test_two_answers_to_one_prompt_whose_ranges_lie_apart_are_a_good_and_a_bad_one(folder: Path) -> None:
    assert [(good.id, bad.id) for good, bad in ordered_pairs(load_calibration(chosen(), folder))] == [("good", "bad")]
    write(folder, [{**ROWS[0], "low": 3}, ROWS[1]])
    assert ordered_pairs(load_calibration(chosen(), folder)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"low": 8, "high": 8}, r"line 1: low=8 and high=8 must be 0 <= low < high <= 10"),
        ({"low": True}, "low=True"),
        ({"high": 11}, "high=11"),
        ({"low": "6"}, "low='6'"),
        ({"prompt": ""}, "line 1 has no text in 'prompt'"),
        ({"answer": 3}, "line 1 has no text in 'answer'"),
        ({"id": "bad"}, "line 2: the id 'bad' is used twice"),
    ],
)
def test_a_calibration_row_that_breaks_a_law_is_named(folder: Path, change: dict[str, Any], told: str) -> None:
    write(folder, [{**ROWS[0], **change}, *ROWS[1:]])
    with pytest.raises(BadInput, match=told):
        load_calibration(chosen(), folder)
    write(folder, ROWS[:1])
    with pytest.raises(BadInput, match="holds 1 answers and a calibration set needs two or more"):
        load_calibration(chosen(), folder)


def test_what_was_chosen_in_an_epoch_that_ended_is_asked_anew(folder: Path, judge: ScriptedEndpoint) -> None:
    examiner = JudgeExaminer(chosen(), folder, judge.environment)
    duel = AnswerPair(prompt("p"), "one two three four five six seven", "eight")
    assert examiner.prefer([duel], Context()) == [1.0]
    judge.restart([{"content": '{"note": "", "preferred": "tie"}'}] * 2)
    assert examiner.prefer([duel], Context()) == [1.0]
    examiner.end_epoch()
    assert examiner.prefer([duel], Context()) == [0.0]
    examiner.close()
