from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from probes.inputs.prompts import check_categories, load_prompts
from probes.inputs.rows.turns import Turn
from probes.inputs.sources import load_source
from probes.inputs.training_rows import TrainingRow, check_overlap, order, quotas
from testing import simulated_study

SOURCES = {
    name: tuple(TrainingRow(f"{name} {i}", "c" * (i + 1), "r", name, 1 + i % 3) for i in range(count))
    for name, count in (("good", 12), ("broken", 5))
}


def ids(pairs: tuple[TrainingRow, ...]) -> list[str]:
    return [str(pair.prompt) for pair in pairs]


@given(st.integers(0, 100), st.integers(1, 80), st.sampled_from(["shuffle", "easy_first", "source_first"]))
def test_the_same_seed_gives_the_same_rows_in_the_same_order(seed: int, rows: int, curriculum: str) -> None:
    recipe = tiny.recipe(curriculum=curriculum)
    once = order(recipe, SOURCES, rows, seed)
    assert once == order(recipe, SOURCES, rows, seed)
    assert len(once) == rows


def test_another_seed_gives_another_order() -> None:
    assert ids(order(tiny.recipe(), SOURCES, 16, 1)) != ids(order(tiny.recipe(), SOURCES, 16, 2))


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 9), min_size=1), st.integers(0, 500))
def test_quotas_sum_to_the_rows_and_are_within_one_of_the_share(weights: dict[str, float], rows: int) -> None:
    total = sum(weights.values())
    counts = quotas({name: weight / total for name, weight in weights.items()}, rows)
    assert sum(counts.values()) == rows
    for name, weight in weights.items():
        assert abs(counts[name] - rows * weight / total) < 1 + 1e-6


def test_a_source_supplies_its_share() -> None:
    rows = order(tiny.recipe(mixture={"good": 3, "broken": 1}), SOURCES, 40, 0)
    assert Counter(pair.source for pair in rows) == {"good": 30, "broken": 10}


def test_no_pair_is_repeated_before_its_source_is_used_up() -> None:
    rows = order(tiny.recipe(mixture={"good": 1}), SOURCES, 30, 0)
    assert set(Counter(ids(rows)).values()) == {2, 3}


def test_a_mixture_mutation_keeps_the_relative_order_of_the_rows_both_sides_have() -> None:
    even = ids(order(tiny.recipe(mixture={"good": 1, "broken": 1}), SOURCES, 10, 7))
    more = ids(order(tiny.recipe(mixture={"good": 2, "broken": 1}), SOURCES, 10, 7))
    shared = [row for row in even if row in more]
    assert len(shared) >= 8
    assert shared == [row for row in more if row in even]


def test_a_curriculum_mutation_has_the_same_rows() -> None:
    shuffled = order(tiny.recipe(), SOURCES, 16, 3)
    for curriculum in ("source_first", "source_last", "easy_first", "hard_first", "short_first", "long_first"):
        assert Counter(ids(order(tiny.recipe(curriculum=curriculum), SOURCES, 16, 3))) == Counter(ids(shuffled))


@pytest.mark.parametrize(
    ("curriculum", "key"),
    [
        ("source_first", lambda p: ["good", "broken"].index(p.source)),
        ("source_last", lambda p: -["good", "broken"].index(p.source)),
        ("easy_first", lambda p: p.difficulty),
        ("hard_first", lambda p: -p.difficulty),
        ("short_first", lambda p: p.length),
        ("long_first", lambda p: -p.length),
    ],
)
def test_a_curriculum_orders_by_its_key_and_within_it_by_the_shuffle(
    curriculum: str, key: Callable[[TrainingRow], Any]
) -> None:
    shuffled = order(tiny.recipe(), SOURCES, 17, 5)
    assert list(order(tiny.recipe(curriculum=curriculum), SOURCES, 17, 5)) == sorted(shuffled, key=key)


def test_a_mixture_that_weighs_an_unknown_source_is_refused() -> None:
    with pytest.raises(BadInput, match="'other'"):
        order(tiny.recipe(mixture={"other": 1}), SOURCES, 4, 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "p", "chosen": "c"}', "line 2 has no column 'rejected'"),
        ('{"prompt": "p", "chosen": "", "rejected": "r"}', "no text .* 'chosen'"),
        ('{"prompt": "p", "chosen": "c", "rejected": "c"}', "same text"),
        ('{"prompt": "p", "chosen": [{"role": "assistant"}], "rejected": "r"}', "'chosen'"),
        ('{"prompt": "p", "chosen": "c", "rejected": "r", "difficulty": "easy"}', "whole number"),
        ('{"prompt": "p", "chosen": "c", "rejected": "r", "difficulty": true}', "whole number"),
        ('{"prompt": "p", "chosen": "c", "rejected": "r", "difficulty": 1.5}', "whole number"),
        ("not json", "line 2 is not JSON"),
        ('{"prompt": NaN}', "not a JSON number"),
        ("[1, 2]", "not a JSON object"),
        ("[" * 100_000, "line 2 is not JSON"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "source.jsonl"
    path.write_text('{"prompt": "p", "chosen": "c", "rejected": "r"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=message):
        load_source("good", path)


def test_conversational_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "source.jsonl"
    asked, said = [{"role": "user", "content": "p"}], [{"role": "assistant", "content": "c"}]
    simulated_study.write_jsonl(path, [{"prompt": asked, "chosen": said, "rejected": "r"}])
    (pair,) = load_source("good", path)
    assert pair.prompt == (Turn("user", "p"),)
    assert (pair.chosen, pair.rejected) == ((Turn("assistant", "c"),), (Turn("assistant", "r"),))


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        load_source("good", tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(BadInput, match="holds no pairs"):
        load_source("good", tmp_path / "empty.jsonl")


def change_prompts(folder: Path, **changes: object) -> Path:
    rows = simulated_study.prompts()
    rows[-1].update(changes)
    simulated_study.write_jsonl(folder / "prompts.jsonl", rows)
    return folder / "prompts.jsonl"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": simulated_study.prompts()[0]["prompt"]}, "splits must be disjoint"),
        ({"prompt": simulated_study.prompts()[0]["prompt"] + " \n"}, "splits must be disjoint"),
        ({"category": "\ud800"}, "cannot be written as UTF-8"),
        ({"id": simulated_study.prompts()[0]["id"]}, "used twice"),
        ({"split": "test"}, "use one of probe, harvest, holdout"),
        ({"category": ""}, "no text in 'category'"),
        ({"difficulty": 1.5}, "whole number"),
    ],
)
def test_a_bad_prompt_row_is_refused_with_its_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = change_prompts(tmp_path, **changes)
    with pytest.raises(BadInput, match=message) as refused:
        load_prompts(path)
    assert f"line {len(simulated_study.prompts())}" in str(refused.value)


def test_a_guarded_category_without_probe_prompts_is_refused(tmp_path: Path) -> None:
    path = change_prompts(tmp_path)
    with pytest.raises(BadInput, match="no probe prompt in the category 'voice'"):
        check_categories(path, load_prompts(path), ["lists", "voice"])
    check_categories(path, load_prompts(path), ["lists", "overall"])


def test_training_pairs_from_probe_or_holdout_prompts_are_refused(tmp_path: Path) -> None:
    path = change_prompts(tmp_path)
    prompts = load_prompts(path)
    leaked = TrainingRow(prompts[0].text.strip(), "c", "r", "good", 1, 7)
    with pytest.raises(BadInput, match=r"line 7.*probe prompt"):
        check_overlap({"good": path}, {"good": (leaked,)}, prompts)
    spoken = TrainingRow((Turn("system", "be brief"), Turn("user", prompts[0].text)), "c", "r", "good", 1, 8)
    with pytest.raises(BadInput, match=r"line 8.*probe prompt"):
        check_overlap({"good": path}, {"good": (spoken,)}, prompts)
    harvest = next(prompt for prompt in prompts if prompt.split == "harvest")
    check_overlap({"good": path}, {"good": (TrainingRow(harvest.text, "c", "r", "good", 1),)}, prompts)
