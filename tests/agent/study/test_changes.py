"""Which keys of a study changed."""

from pathlib import Path

from agent.study.changes import UNNAMED, added_sources, changed_keys, changes_in_words
from agent.study.load import Study, load_study
from testing import simulated_study


def study(folder: Path, *changes: tuple[str, str]) -> Study:
    text = simulated_study.STUDY
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return load_study(simulated_study.write_study(folder, text))


def test_each_key_that_decides_is_named_with_both_values(tmp_path: Path) -> None:
    before = study(tmp_path / "a")
    after = study(
        tmp_path / "b",
        ("arithmetic = 1.5", "arithmetic = 2.5"),
        ("samples = 4", "samples = 8"),
        ("learning_rate = 1e-4", "learning_rate = 2e-4"),
        ("[target]", "[scorer]\nseconds = 3.0\n[target]"),
    )
    assert set(changed_keys(before, after)) == {
        "guards.arithmetic: 1.5 -> 2.5",
        "probe.samples: 4 -> 8",
        "recipe.learning_rate: 0.0001 -> 0.0002",
        f"scorer.seconds: {before.deciding_keys['scorer.seconds']} -> 3.0",
    }
    assert changes_in_words(before, after).count(" -> ") == 4


def test_what_decides_nothing_is_not_named(tmp_path: Path) -> None:
    before = study(tmp_path / "a")
    after = study(tmp_path / "b", ("decisions = 8", "decisions = 9"), ("beta = true", "beta = { reach = 2 }"))
    assert before.question == after.question
    assert changed_keys(before, after) == []
    assert changes_in_words(before, after) == UNNAMED


def test_a_key_that_was_added_or_taken_out_is_named(tmp_path: Path) -> None:
    before = study(tmp_path / "a")
    after = study(tmp_path / "b", ("[guards]\narithmetic = 1.5\n", ""))
    assert changed_keys(before, after) == ["guards.arithmetic: 1.5 -> (not set)"]


def test_added_sources_are_told_only_where_nothing_else_changed(tmp_path: Path) -> None:
    added = ('broken = "broken.jsonl"', 'broken = "broken.jsonl"\nmore = "good.jsonl"')
    before, grown = study(tmp_path / "a"), study(tmp_path / "b", added)
    assert added_sources(before, grown) == ("more",)
    assert added_sources(grown, before) is None
    assert added_sources(before, study(tmp_path / "c", added, ("steps = 20", "steps = 21"))) is None
    assert added_sources(before, study(tmp_path / "d", ("broken.jsonl", "good.jsonl"))) is None
