"""The report of an evaluation: its sections, its JSON, and answers that try to break its Markdown."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from evaluation.breakdown import Breakdown, break_down
from evaluation.problems import RefusedProblem
from evaluation.results import Evaluation, ModelResults, ScoredSample
from view.report.evaluation import evaluation_data, evaluation_markdown
from view.templating import environment, lay_out

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = "<script>x</script>\n\n# Kept\n```\n| a | b |\n[go](http://evil.example) ![i](x) **KEEP** \x1b[31m \ud83d `c`"


def result(problem: str, word: str = "PASS", seed: int = 42, answer: str = "return 1", **more: Any) -> ScoredSample:
    passed = word == "PASS"
    plain = ScoredSample(
        problem=problem,
        category="humaneval",
        seed=seed,
        sample=0,
        answer=answer,
        passed=passed,
        failure_class=word,
        score=10.0 * passed,
        note="" if passed else "f(1)",
        format_only=False,
    )
    return replace(plain, **more)


def evaluation(*sides: list[ScoredSample], **more: Any) -> Evaluation:
    named = tuple(ModelResults(name, tuple(own)) for name, own in zip(("base", "adapter"), sides, strict=False))
    return replace(
        Evaluation(
            problems_file="problems.jsonl",
            problems=4,
            refused=(),
            unknown={},
            missing=(),
            sides=named,
            ks=(1,),
            seconds=75.0,
        ),
        **more,
    )


def section(markdown: str, heading: str) -> str:
    found = re.search(rf"^(#+) {re.escape(heading)}.*?(?=^\1 |\Z)", markdown, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading} in\n{markdown}"
    return found.group()


def cells(markdown: str, first: str) -> list[list[str]]:
    """The rows of tables that begin with a cell."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown.splitlines() if "|" in line]
    return [row for row in rows if row[0] == first]


BEFORE = [result(f"p{i}", "PASS" if i < 2 else "NAME_ERROR", seed) for seed in (42, 7) for i in range(4)]
AFTER = [result(f"p{i}", "PASS" if i < 3 else "REFUSAL", seed) for seed in (42, 7) for i in range(4)]


def test_one_side_is_told_with_pass_at_k_per_seed_classes_and_no_comparison() -> None:
    found = [*BEFORE[:7], replace(BEFORE[7], passed=True, failure_class="PASS")]
    said = evaluation_markdown(evaluation(found))
    assert cells(section(said, "pass@k"), "answers") == [
        ["answers", "1", "62.5 %", "17.7 %", "0.0 to 100.0 %", "75.0 %", "50.0 %"]
    ]
    assert "seed 7 | seed 42" in said
    ended = section(said, "How answers ended")
    assert cells(ended, "PASS") == [["PASS", "5", "62.5%"]]
    assert cells(ended, "NAME\\_ERROR") + cells(ended, "NAME_ERROR") == [["NAME_ERROR", "3", "37.5%"]]
    assert "Failed by format alone: 0 of 8 answers." in ended
    assert "The code in them" not in ended
    assert "4 problems, 1 min 15 s.\n\n- answers: `base`, 8 answers\n" in said
    for absent in ("Left out", "Newly", "Warning", "change"):
        assert absent not in said


def test_two_sides_are_compared_class_by_class_and_problem_by_problem() -> None:
    after = [replace(r, answer="import math") if r.problem == "p2" else r for r in AFTER]
    said = evaluation_markdown(evaluation(BEFORE, after))
    assert [row[2] for row in cells(section(said, "pass@k"), "before") + cells(section(said, "pass@k"), "after")] == [
        "50.0 %",
        "75.0 %",
    ]
    ended = section(said, "How answers ended")
    assert cells(ended, "NAME_ERROR") == [["NAME_ERROR", "4 (50.0%)", "0 (0.0%)", "-4"]]
    assert cells(ended, "REFUSAL") == [["REFUSAL", "0 (0.0%)", "2 (25.0%)", "+2"]]
    assert "pass@1 changed by +25.0 points [" in said
    assert "1 problem newly solved, 1 by their code and 0 by their format. 0 problems no longer solved." in said
    gained = section(said, "Newly passing: 1 problem")
    assert "### p2: NAME_ERROR -> PASS, algorithmic" in gained
    assert "Answer 1 of seed 42 from before: NAME_ERROR. f(1)\n\n```text\nreturn 1\n```" in gained
    assert "from after: PASS\n\n```text\nimport math\n```" in gained
    assert "Newly failing" not in said


def test_unlike_numbers_of_answers_are_compared_by_share() -> None:
    said = evaluation_markdown(evaluation(BEFORE, AFTER[:4]))
    assert cells(said, "NAME_ERROR") == [["NAME_ERROR", "4 (50.0%)", "0 (0.0%)", "-50.0 points"]]


def test_warnings_stand_above_every_figure() -> None:
    before = [result(f"p{i}", "PASS" if i % 2 else "NAME_ERROR") for i in range(60)]
    after = [replace(r, failure_class="REFUSAL") if not r.passed else r for r in before]
    said = evaluation_markdown(evaluation(before, after))
    assert "- **Warning:** REFUSAL rose from 0 to 30 of 60 answers" in said[: said.index("## pass@k")]


def test_failures_by_format_alone_are_counted_and_marked() -> None:
    before = [replace(r, format_only=not r.passed) for r in BEFORE]
    said = evaluation_markdown(evaluation(before, AFTER))
    assert "Failed by format alone: 4 of 8 answers before, 0 of 8 after." in said
    assert "### p2: NAME_ERROR -> PASS, format" in said
    assert "from before: NAME_ERROR, by format alone. f(1)" in said
    alone = evaluation_markdown(evaluation(before))
    assert "Failed by format alone: 4 of 8 answers. The code in them passes on its own." in alone


def test_a_k_without_answers_enough_is_named_and_absent() -> None:
    said = evaluation_markdown(evaluation(BEFORE, ks=(1, 5, 10)))
    assert "Not shown where there are too few answers: pass@5, pass@10." in said
    assert [row[1] for row in cells(said, "answers")] == ["1"]


def test_what_an_interval_covers_is_said_as_it_is() -> None:
    assert "covers the problems, the seeds and the sampling" in evaluation_markdown(evaluation(BEFORE))
    assert "with one seed it cannot cover seeds" in evaluation_markdown(evaluation(BEFORE[:4]))
    assert "An interval takes two problems" in evaluation_markdown(evaluation(BEFORE[:1]))
    assert "their seeds differ and are not paired" in evaluation_markdown(
        evaluation(BEFORE, [replace(r, seed=r.seed + 1) for r in AFTER])
    )


def test_what_was_left_out_is_named_up_to_ten_and_counted() -> None:
    refused = tuple(RefusedProblem(f"r{i}", i, "its test_list is empty") for i in range(12))
    unknown = {"r3": 5, **{f"u{i}": i + 1 for i in range(13)}}
    said = evaluation_markdown(
        evaluation(BEFORE, refused=refused, unknown=unknown, missing=tuple(f"m{i}" for i in range(11)))
    )
    assert "Left out, see the end: 12 problems refused, 11 problems without an answer." in said
    left = section(said, "Left out")
    assert "- 12 problems refused" in left
    assert "  - `r9`, line 9: its test_list is empty\n  - and 2 more\n" in left
    assert "`r10`" not in left
    assert "- 13 ids that the problem file does not have: `u0` (1 sample), `u1` (2 samples)" in left
    assert "`u9` (10 samples), and 3 more." in left
    assert "`m9`, and 1 more." in left


def test_at_most_ten_problems_are_shown_and_the_others_pointed_to() -> None:
    before = [result(f"p{i:02}", "TIMEOUT") for i in range(13)]
    said = evaluation_markdown(evaluation(before, [result(f"p{i:02}") for i in range(13)]))
    assert said.count("-> PASS, algorithmic") == 10
    assert "Newly passing: 13 problems" in said
    assert "And 3 more in results.jsonl." in said


@pytest.mark.parametrize(
    ("answer", "shown", "told"),
    [
        ("x\n" * 30, 30, None),
        ("x\n" * 31, 30, "(shortened; the answer has 31 lines and 62 characters)"),
        ("y" * 1200, 1, None),
        ("y" * 1201, 1, "(shortened; the answer has 1 line and 1201 characters)"),
        ("", 0, "(the answer is empty)"),
    ],
)
def test_a_long_answer_is_shortened_and_says_so(answer: str, shown: int, told: str | None) -> None:
    said = evaluation_markdown(evaluation([result("p0", "TIMEOUT", answer=answer)], [result("p0", answer="1")]))
    block = re.search(r"^```text\n(.*?)^```$", section(said, "p0:"), re.MULTILINE | re.DOTALL)
    assert block
    assert len(block.group(1).splitlines()) == (shown or 1)
    assert len(block.group(1)) <= 1201
    assert ("(shortened" in said or "(the answer is empty)" in said) == (told is not None)
    assert told is None or told in said


def test_an_answer_is_shown_with_its_own_fence() -> None:
    said = evaluation_markdown(evaluation([result("p", "TIMEOUT", answer="```py\n\tx\n```\n````")], [result("p")]))
    assert "`````text\n```py\n    x\n```\n````\n`````" in said


def structure(markdown: str) -> list[tuple[str, str]]:
    return [(token.type, token.tag) for token in MARKDOWN.parse(markdown)]


def hostile(text: str) -> str:
    """Two sides with the text in every place that others write."""
    before = [result(f"p{text}", "TIMEOUT", answer=f"a{text}", note=f"n{text}"), result("q", f"X{text}")]
    found = evaluation(
        before,
        [result(f"p{text}", answer="a"), result("q", f"X{text}")],
        problems_file=f"f{text}",
        refused=(RefusedProblem(f"r{text}", 3, f"w{text}"),),
        unknown={f"u{text}": 2},
        missing=(f"m{text}",),
    )
    sides = tuple(replace(side, name=f"{side.name}{text}") for side in found.sides)
    return evaluation_markdown(replace(found, sides=sides))


@given(
    st.one_of(st.just(HOSTILE), st.text(max_size=60), st.text(alphabet="`~|<>#*_[]()\\\n\r\t -=1.&!ab", max_size=60))
)
def test_foreign_text_changes_no_structure(text: str) -> None:
    said = hostile(text)
    said.encode("utf-8")
    assert "\x1b" not in said
    assert structure(said) == structure(hostile("x"))
    inside = {child.type for token in MARKDOWN.parse(said) for child in token.children or ()}
    assert inside <= {"text", "strong_open", "strong_close", "softbreak", "code_inline", "text_special"}


def breakdown_lines(breakdown: Breakdown, names: tuple[str, str], most: int = 10, kept_in: str = "file") -> list[str]:
    template = (
        '{% from "breakdown.md.jinja" import show_change, show_flips %}'
        "{{ show_change(*given[:2]) }}\n\n{{ show_flips(*given) }}"
    )
    given = (breakdown, names, most, kept_in)
    return lay_out(environment().from_string(template).render(given=given)).splitlines()


def test_the_breakdown_stands_alone_and_says_where_the_rest_is() -> None:
    lines = breakdown_lines(break_down(BEFORE, AFTER), ("starting recipe", "incumbent now"))
    assert lines[0] == "## From starting recipe to incumbent now"
    assert "## How answers ended" in lines
    assert "### p2: NAME_ERROR -> PASS, algorithmic" in lines
    assert "in elsewhere." in "\n".join(breakdown_lines(break_down(BEFORE, AFTER), ("a", "b"), 0, "elsewhere"))
    assert all("\n" not in line for line in lines)
    assert cells("\n".join(lines), "class") == [["class", "starting recipe", "incumbent now", "change"]]
    apart = breakdown_lines(break_down(BEFORE, [result("other")]), ("a", "b"))
    assert apart == ["## From a to b", "", "The two sides answered no problem in common, so they cannot be compared."]


def test_answers_that_never_came_are_warned_of() -> None:
    given = replace(evaluation(BEFORE), unanswered=4)
    assert "- **Warning:** 4 of 12 answers never came" in evaluation_markdown(given)
    assert evaluation_data(given)["unanswered"] == 4


def test_problems_of_one_side_alone_are_told() -> None:
    said = evaluation_markdown(evaluation([*BEFORE, result("more")], AFTER))
    assert "Left out of the comparison: 1 problem answered by one side alone (1 before, 0 after)." in said


def test_the_data_of_one_side_stands_at_the_top_and_under_sides() -> None:
    data = evaluation_data(
        evaluation(BEFORE, refused=(RefusedProblem("r", 3, "why"),), unknown={"u": 2}, missing=("m",))
    )
    json.dumps(data, allow_nan=False)
    assert data["problems"] == 4
    assert data["refused"] == [{"task_id": "r", "line": 3, "why": "why"}]
    assert (data["unknown"], data["missing"], data["breakdown"]) == ({"u": 2}, ["m"], None)
    assert data["pass_at_k"]["1"]["mean"] == 0.5
    assert data["pass_at_k"]["1"]["seeds"] == {"7": 0.5, "42": 0.5}
    assert data["classes"] == {"PASS": 4, "NAME_ERROR": 4}
    assert data["results"][2] == {
        "task_id": "p2",
        "seed": 42,
        "sample": 0,
        "passed": False,
        "failure_class": "NAME_ERROR",
    }
    (side,) = data["sides"]
    assert side["name"] == "base"
    assert {name: data[name] for name in side if name != "name"} == {n: v for n, v in side.items() if n != "name"}
    assert set(side["pass_at_k"]["1"]) == {"mean", "deviation", "low", "high", "seeds"}


def test_the_data_of_two_sides_has_the_later_one_at_the_top_and_the_breakdown() -> None:
    before = [replace(r, format_only=not r.passed) for r in BEFORE]
    data = evaluation_data(evaluation(before, AFTER))
    json.dumps(data, allow_nan=False)
    assert [side["name"] for side in data["sides"]] == ["base", "adapter"]
    assert [side["format_only"] for side in data["sides"]] == [4, 0]
    assert data["classes"] == data["sides"][1]["classes"] == {"PASS": 6, "REFUSAL": 2}
    assert data["pass_at_k"] == data["sides"][1]["pass_at_k"]
    found = data["breakdown"]
    assert found["difference"]["delta"] == 0.25
    (gain,) = found["newly_passing"]
    assert (gain["task_id"], gain["kind"], gain["before"]["note"]) == ("p2", "format", "f(1)")
    assert found["classes"][1] == {
        "failure_class": "NAME_ERROR",
        "before": 4,
        "after": 0,
        "before_share": 0.5,
        "after_share": 0.0,
        "change": -4,
    }


def test_an_evaluation_has_one_side_or_two() -> None:
    for sides in ((), (ModelResults("a", ()),) * 3):
        with pytest.raises(ValueError, match=f"not {len(sides)}"):
            Evaluation(
                problems_file="p", problems=1, refused=(), unknown={}, missing=(), sides=sides, ks=(1,), seconds=1.0
            )


def test_a_side_without_answers_is_no_crash() -> None:
    assert "`base`, 0 answers" in evaluation_markdown(evaluation([]))
    assert evaluation_data(evaluation([]))["pass_at_k"] == {}
    assert "no problem in common" in evaluation_markdown(evaluation([], AFTER))
