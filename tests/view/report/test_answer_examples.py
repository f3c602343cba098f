"""The report's answers before and after a KEEP, and its count of cut answers."""

import re
import shutil
from pathlib import Path
from statistics import fmean

import nights
import pytest
from markdown_it import MarkdownIt

from agent.workspace.folder import Workspace
from probes.result.reading import Probe, Score
from view.data.answers.examples import answer_examples
from view.data.search.replicates import measured_pairs
from view.data.search.stacks import stacks
from view.data.session_figures import session_figures
from view.data.session_record import load_record
from view.report.report import report_data, report_markdown

HOSTILE = "````\n# Kept\n<script>alert(1)</script> | x | [go](http://evil.example)\n```\n![i](x)\n\x1b[31mred\n"
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def said(probe: Probe, score: Score) -> str:
    """Long and hostile; another with each probe."""
    return f"{HOSTILE}{probe.id} {score.sample}\n" + "word " * 400


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return nights.cutting(tmp_path_factory.mktemp("kept"), said)


def section(markdown: str, heading: str) -> str:
    return re.split(r"\n## ", markdown.partition(f"\n## {heading}\n")[2])[0]


def test_the_best_the_median_and_the_worst_prompt_are_shown_with_an_answer_of_each_side(kept: Workspace) -> None:
    record = load_record(kept, None)
    [found] = answer_examples(record)
    [stack] = [one for one in stacks(record) if one.decision and one.decision.status == "KEEP"]
    changes: dict[str, list[float]] = {}
    for mine, theirs in measured_pairs(record, stack):
        for after, before in zip(mine.scores, theirs.scores, strict=True):
            changes.setdefault(after.prompt, []).append(after.value - before.value)
    means = sorted(map(fmean, changes.values()))
    assert [one.which for one in found.examples] == ["best", "typical", "worst"]
    assert [one.change for one in found.examples] == pytest.approx([means[-1], means[len(means) // 2], means[0]])
    assert found.prompts == len(changes) == 64
    asked = {prompt.id: prompt.text for prompt in record.study.material.probe_prompts}
    for one in found.examples:
        assert one.asked == asked[one.prompt]
        assert one.answers == len(changes[one.prompt])
        assert one.before.text != one.after.text
        assert (one.before.cut, one.after.cut) == (False, one.sample == 0)


def test_foreign_text_in_an_answer_stays_text_and_is_cut_to_a_sensible_length(kept: Workspace) -> None:
    markdown = report_markdown(load_record(kept, None))
    told = section(markdown, "Answers before and after")
    assert told.count("(shortened; the answer has ") == 6
    assert "\x1b" not in told
    assert max(map(len, told.splitlines())) < 900
    tokens = MARKDOWN.parse(markdown)
    headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings.count("Kept") == 1
    assert not [token for token in tokens if token.type == "html_block"]
    inline = [child for token in tokens for child in token.children or []]
    assert not [child for child in inline if child.type in ("image", "html_inline", "link_open")]
    fences = [token.content for token in tokens if token.type == "fence" and "<script>" in token.content]
    assert len(fences) == 6


def test_a_keep_whose_answers_are_cut_more_often_has_a_warning_in_its_section(kept: Workspace) -> None:
    record = load_record(kept, None)
    [stack] = [one for one in session_figures(record).stacks if one.status == "KEEP"]
    assert stack.cut_candidate is not None
    assert stack.cut_incumbent is not None
    assert (stack.cut_candidate.share, stack.cut_incumbent.share) == (0.25, 0.0)
    markdown = report_markdown(record)
    told = f"{stack.cut_candidate.cut} of {stack.cut_candidate.answers} (25.0%) of its answers were cut at"
    assert f"- **Warning:** {told} `max_new_tokens`" in section(markdown, "Kept")
    assert "answers were cut at `max_new_tokens = 256`" in markdown.partition("\n## ")[0]
    counted = section(markdown, "Answers cut at max_new_tokens")
    cells = {row[1]: row[2] for line in counted.splitlines() if len(row := [c.strip() for c in line.split("|")]) > 3}
    assert cells["starting recipe"].startswith("0 of ")
    assert cells["incumbent now"].endswith("(25.0%)")
    assert report_data(record)["cut"]["incumbent"]["cut"] > 0


def test_a_night_that_does_not_know_how_its_answers_ended_says_nothing_of_it(tmp_path: Path) -> None:
    workspace = nights.night(tmp_path, probes=5)
    assert session_figures(load_record(workspace, None)).cut.session is None
    assert "cut at max" not in report_markdown(load_record(workspace, None))


def test_answers_or_prompts_that_are_gone_are_said_to_be(kept: Workspace, tmp_path: Path) -> None:
    copy = Workspace(tmp_path / kept.root.name)
    shutil.copytree(kept.root.parent, tmp_path, dirs_exist_ok=True)
    prompts = tmp_path / "study" / "prompts.jsonl"
    prompts.write_text(prompts.read_text(encoding="utf-8").replace("# 0", "# another"), encoding="utf-8")
    told = section(report_markdown(load_record(copy, None)), "Answers before and after")
    assert told.count("prompts file is gone or has changed") == 3
    for path in copy.runs.glob("probe-*/answers.jsonl"):
        path.unlink()
    told = section(report_markdown(load_record(copy, None)), "Answers before and after")
    assert "None can be shown: its probes have no answers.jsonl that can be read (simulated ones never do)." in told
    for path in copy.runs.glob("probe-*"):
        shutil.rmtree(path)
    told = section(report_markdown(load_record(copy, None)), "Answers before and after")
    assert "None can be shown: its probes can no longer be read." in told
