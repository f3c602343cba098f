"""What comes from the stores is trained on when somebody has looked at it, or when the user says that nobody has."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainable import asked, exported, planned, review, row, stores

from common.errors import BadInput
from finetune.manifest import ReviewWord, trained_on
from finetune.plan import plan
from finetune.review import review_state
from preferences.store.annotations import Vote
from preferences.store.stores import Stores
from view.terminal.finetune import plan_text


def look(folder: Path, found: Stores, **changes: Any) -> ReviewWord:
    (source,) = trained_on(planned(folder, found, **changes))
    return source.looked_at


def test_an_export_that_nobody_looked_at_is_refused_with_what_to_do(tmp_path: Path) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path)
    with pytest.raises(BadInput) as told:
        planned(tmp_path, found)
    assert str(told.value) == (
        "an export of the stores is trained on once somebody has reviewed it, and of the source 'mined', an export of "
        "8 dpo rows, 0 of 5 rows were judged good or bad; run nightlane pairs review --kind dpo, or pass --unreviewed"
    )
    assert look(tmp_path, found, unreviewed=True) == "unreviewed"
    assert not (tmp_path / "out").exists()


def test_an_export_is_one_too_where_the_study_names_its_folder(tmp_path: Path) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path)
    request = asked(tmp_path)
    data = request.material.data.model_copy(update={"sources": {"mined": "mined", "good": "good.jsonl"}})
    request = replace(request, material=replace(request.material, data=data))
    with pytest.raises(BadInput, match="an export of 8 dpo rows, 0 of 5 rows were judged good or bad"):
        plan(request, found)
    review(found, range(5))
    assert [len(source.pairs) for source in plan(request, found).sources] == [8]


def test_a_full_length_run_says_which_rows_are_left_out(tmp_path: Path) -> None:
    found = stores(tmp_path)
    with (tmp_path / "good.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("{}\n")
    request = asked(tmp_path, recipe={"mixture": {"good": 1.0}})
    with pytest.raises(BadInput, match="line 33 has no column 'chosen'"):
        plan(request, found)
    data = request.material.data.model_copy(update={"bad_rows": "leave_out"})
    made = plan(replace(request, material=replace(request.material, data=data)), found)
    assert "32 rows, 16 drawn; source good: 1 of 33 rows left out (line 33: the first has no column" in plan_text(made)


def test_verdicts_since_the_export_make_it_one_that_was_looked_at(tmp_path: Path) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path)
    review(found, range(4), "bad")
    review(found, range(4, 8), "skip")
    review(found, range(8), of="another set")
    with pytest.raises(BadInput, match="4 of 5 rows"):
        planned(tmp_path, found)
    review(found, range(5, 6))
    assert look(tmp_path, found) == "reviewed"
    assert look(tmp_path, found, unreviewed=True) == "reviewed"


@pytest.mark.parametrize("said", ["withdrawn", "drop", "flip"])
def test_an_export_of_a_pair_that_no_longer_stands_is_refused_whoever_looked(tmp_path: Path, said: Any) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path)
    review(found, range(5))
    assert look(tmp_path, found) == "reviewed"
    first = found.read("dpo")[0]
    if said == "withdrawn":
        found.withdraw("its KEEP was retracted: holdout", "2026-11-21T20:00:00Z", row=first.id)
    else:
        found.vote([Vote(first.id, said, "ann", "2026-11-21T20:00:00Z")])
    for unreviewed in (False, True):
        with pytest.raises(BadInput, match=rf"the source 'mined', .*, has 1 of them \({first.id}.*export it again"):
            planned(tmp_path, found, unreviewed=unreviewed)


def test_of_a_small_export_all_rows_are_looked_at(tmp_path: Path) -> None:
    found = stores(tmp_path, rows=2)
    exported(found, tmp_path)
    review(found, range(1))
    with pytest.raises(BadInput, match="1 of 2 rows"):
        planned(tmp_path, found)
    review(found, range(1, 2))
    assert look(tmp_path, found) == "reviewed"


def test_what_was_looked_at_when_it_was_exported_stays_so_in_any_workspace(tmp_path: Path) -> None:
    found = stores(tmp_path)
    review(found, range(5))
    exported(found, tmp_path)
    found.add([row(20)])
    assert look(tmp_path, found) == "reviewed"
    assert "reviewed; the dpo store has changed since" in plan_text(planned(tmp_path, found))
    assert look(tmp_path, Stores(tmp_path / "elsewhere")) == "reviewed"


def test_when_the_store_has_grown_since_it_is_reviewed_and_exported_again(tmp_path: Path) -> None:
    found = stores(tmp_path)
    file = exported(found, tmp_path)
    found.add([row(20)])
    review(found, range(5))
    with pytest.raises(BadInput, match=r"has changed since, so run .*review --kind dpo and export it again"):
        planned(tmp_path, found)
    file.parent.rename(tmp_path / "old")
    exported(found, tmp_path)
    assert look(tmp_path, found) == "reviewed"


def test_rows_that_were_reviewed_and_held_back_from_the_export_count_as_the_review_counts_them(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.vote([Vote(row(number).id, "down", "ann", "t") for number in range(3)])
    exported(found, tmp_path)
    review(found, range(5))
    assert found.reviewed("dpo")
    assert look(tmp_path, found) == "reviewed"


@settings(max_examples=30)
@given(
    rows=st.integers(1, 7),
    verdicts=st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["good", "bad", "skip"])), max_size=8),
    down=st.sets(st.integers(0, 6), max_size=3),
)
def test_as_long_as_the_store_stays_an_export_was_looked_at_exactly_when_the_store_is(
    rows: int, verdicts: list[tuple[int, Any]], down: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("law")
    found = stores(folder, rows)
    found.vote([Vote(row(number).id, "down", "ann", "t") for number in down if number < rows and len(down) < rows])
    file = exported(found, folder)
    for number, verdict in verdicts:
        review(found, range(number % rows, number % rows + 1), verdict)
    seen = review_state("mined", file, found)
    assert seen.reviewed == found.reviewed("dpo")
    assert not seen.stale


def test_an_export_that_was_changed_is_refused_whatever_is_said(tmp_path: Path) -> None:
    found = stores(tmp_path)
    review(found, range(8))
    file = exported(found, tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("double", "halve", 1), encoding="utf-8")
    for unreviewed in (False, True):
        with pytest.raises(BadInput, match=r"is not the file that export\.json beside it records; export again"):
            planned(tmp_path, found, unreviewed=unreviewed)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"kind": "dpo"}', "\ud800"])
def test_a_record_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    found = stores(tmp_path)
    file = exported(found, tmp_path)
    file.with_name("export.json").write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(BadInput, match=r"export\.json records what was exported and is damaged"):
        planned(tmp_path, found, unreviewed=True)


def test_data_of_the_users_own_is_not_asked_about(tmp_path: Path) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path)
    assert look(tmp_path, found, recipe={"mixture": {"good": 1.0}}) == "own"
    (tmp_path / "mined" / "export.json").unlink()
    assert look(tmp_path, found) == "own"


def test_what_the_mixture_does_not_weigh_is_not_asked_about(tmp_path: Path) -> None:
    found = stores(tmp_path)
    exported(found, tmp_path).write_text("no longer rows", encoding="utf-8")
    assert look(tmp_path, found, recipe={"mixture": {"good": 1.0, "mined": 0.0}}) == "own"
    with pytest.raises(BadInput):
        plan(asked(tmp_path, recipe={"mixture": {"good": 1.0, "mined": 0.1}}), found)


def test_rows_that_are_judged_bad_are_named_and_the_last_word_of_each_reviewer_counts(tmp_path: Path) -> None:
    found = stores(tmp_path)
    review(found, range(3), "bad")
    review(found, range(2, 3), "good")
    review(found, range(1), "skip")
    review(found, range(1, 2), "good", by="bob")
    review(found, range(5), "good", by="bob")
    exported(found, tmp_path)
    (source,) = trained_on(planned(tmp_path, found))
    assert source.looked_at == "reviewed"
    assert source.judged_bad == (row(0).id, row(1).id)


def test_the_record_names_the_rows_of_the_export_and_the_whole_set(tmp_path: Path) -> None:
    found = stores(tmp_path)
    found.vote([Vote(row(0).id, "down", "ann", "t"), Vote(row(1).id, "drop", "ann", "t")])
    file = exported(found, tmp_path)
    record = json.loads((file.parent / "export.json").read_text(encoding="utf-8"))
    assert record["rows"] == [row(number).id for number in range(2, 8)]
    assert (record["set_digest"], record["in_use"], record["reviewed"]) == (found.digest("dpo"), 7, False)
