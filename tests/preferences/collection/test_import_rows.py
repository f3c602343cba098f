"""Imported files: good rows, bad rows by their line, and no crash whatever they contain."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_rows import ASKED, CERTIFIED, TIME, pair, prompts, reward, stores

from common.errors import BadInput
from preferences.collection.import_rows import Defaults, ParsedFile, read_rows, read_votes
from preferences.store.annotations import Vote
from preferences.store.rows import StoreKind, row_to_json
from preferences.store.stores import Stores
from probes.inputs.rows.turns import Turn, Turns
from probes.inputs.training_rows import ReservedPrompts

DEFAULTS = Defaults("imported", "a file", "human", "reference")
GOOD = {"prompt": "p", "chosen": "c", "rejected": "r"}
RESERVED = ReservedPrompts(prompts())
USER, YES, NO = Turn("user", "Is it?"), Turn("assistant", "Yes."), Turn("assistant", "No.")


def written(folder: Path, *rows: Any, name: str = "rows.jsonl") -> Path:
    path = folder / name
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(path: Path, kind: StoreKind = "preference", plain: bool | None = None) -> ParsedFile:
    return read_rows(path, kind, DEFAULTS, TIME, reserved=RESERVED, plain=plain)


def told(found: ParsedFile) -> dict[int, str]:
    return {row.line: row.why for row in found.bad}


def test_a_pair_in_trl_format_becomes_a_row_with_what_it_says_and_the_defaults_for_the_rest(tmp_path: Path) -> None:
    more = {
        "chosen_score": 8,
        "rejected_score": 2.5,
        "category": "lists",
        "source": "crowd",
        "rejected_origin": "sampled",
    }
    found = rows_of(written(tmp_path, GOOD, GOOD | {"prompt": "q"} | more, ""), "dpo")
    assert found.bad == ()
    bare, full = found.rows
    assert (bare.prompt, bare.texts, bare.scores, bare.time) == ("p", ("c", "r"), (None, None), TIME)
    assert (bare.category, bare.source) == ("imported", "a file")
    assert [one.origin for one in bare.provenance.sides] == ["human", "reference"]
    assert (full.scores, full.category, full.source) == ((8.0, 2.5), "lists", "crowd")
    assert [one.origin for one in full.provenance.sides] == ["human", "sampled"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{torn", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"prompt": NaN}', "NaN is not a JSON number"),
        ({"prompt": "p", "chosen": "c"}, "no column 'rejected'"),
        (GOOD | {"chosen": 3}, "no text (or list of turns with role and content) in 'chosen'"),
        (GOOD | {"chosen": "r"}, "a pair needs a difference"),
        (GOOD | {"chosen_score": "high"}, "chosen_score='high' is not a number"),
        (GOOD | {"chosen_score": True}, "chosen_score=True is not a number"),
        (GOOD | {"chosen_origin": "heaven"}, "origin='heaven' is not known; use one of sampled, human"),
        (GOOD | {"chosen_origin": "mechanical"}, "never the chosen side"),
        (GOOD | {"chosen_origin": "cut"}, "never the chosen side"),
        (GOOD | {"category": 5}, "category=5 is not a text"),
        (GOOD | {"receipt": "{"}, "receipt is not a JSON object"),
        (GOOD | {"prompt": f"{ASKED}!"}, "the probe prompt 'probe-1', and pairs never come from"),
        (GOOD | {"prompt": [{"role": "user", "content": "p"}]}, "earlier rows hold plain texts"),
        (GOOD | {"tools": [{"type": "function"}]}, "has tools, which the stores do not keep"),
        (row_to_json(pair(kind="preference")) | {"chosen": "other"}, "rows never change"),
    ],
)
def test_a_bad_row_is_named_by_its_line_with_what_is_wrong(tmp_path: Path, row: Any, why: str) -> None:
    found = rows_of(written(tmp_path, GOOD, "", row, GOOD | {"prompt": "q"}))
    assert [one.prompt for one in found.rows] == ["p", "q"]
    (bad,) = found.bad
    assert bad.line == 3
    assert why in bad.why


def test_every_bad_row_is_named_and_the_form_of_the_first_good_one_counts(tmp_path: Path) -> None:
    talk = {
        name: [{"role": "user" if name == "prompt" else "assistant", "content": text}] for name, text in GOOD.items()
    }
    path = written(tmp_path, {"chosen": "c"}, talk, GOOD, {})
    assert told(rows_of(path)).keys() == {1, 3, 4}
    assert told(rows_of(path, plain=True)).keys() == {1, 2, 4}


def test_an_orpo_row_needs_a_certified_receipt_and_a_reward_its_score(tmp_path: Path) -> None:
    path = written(
        tmp_path, GOOD, GOOD | {"receipt": CERTIFIED}, GOOD | {"receipt": json.dumps(CERTIFIED), "prompt": "q"}
    )
    found = rows_of(path, "orpo")
    assert [row.receipt for row in found.rows] == [CERTIFIED, CERTIFIED]
    assert '"certified": true' in told(found)[1]
    path = written(tmp_path, {"prompt": "p", "completion": "c", "score": 3}, {"prompt": "p", "completion": "c"})
    found = rows_of(path, "reward")
    assert [row.scores for row in found.rows] == [(3.0,)]
    assert "has no score; give it one" in told(found)[2]


def test_rows_of_another_workspace_keep_their_ids_and_provenance(tmp_path: Path) -> None:
    theirs, ours = stores(tmp_path / "theirs"), stores(tmp_path / "ours")
    theirs.add([pair(0), pair(1), reward(2)])
    assert ours.add(rows_of(theirs.path("dpo"), "dpo").rows).new == (pair(0).id, pair(1).id)
    assert ours.rows("dpo") == theirs.rows("dpo")
    assert ours.add(rows_of(theirs.path("dpo"), "dpo").rows).new == ()


@pytest.mark.parametrize(
    ("prompt", "texts", "why"),
    [
        ("Is it?", ("Yes.", " Yes."), "chosen and rejected are the same text, white space around it aside"),
        ("Is it?", ("Is it? Yes.", "Is it? No."), "which is added unchanged, and its answers hold the prompt"),
        ((USER,), ((USER, YES), (USER, NO)), "which is added unchanged, and its answers hold the prompt"),
        ((USER, YES), ((YES,), (NO,)), "the prompt ends with the assistant's turn"),
        ((USER,), ((YES, USER), (NO,)), "the user's turn after the assistant's, and it would be trained on"),
    ],
)
def test_rows_of_another_workspace_are_held_to_the_laws_of_all_rows(
    tmp_path: Path, prompt: Turns, texts: tuple[Turns, Turns], why: str
) -> None:
    row = replace(pair(0), prompt=prompt, texts=texts)
    path = written(tmp_path, row_to_json(row))
    assert (
        why
        in told(read_rows(path, "dpo", DEFAULTS, TIME, reserved=RESERVED, plain=None, prompt_in_answers="remove"))[1]
    )


def test_answers_that_begin_with_their_prompt_need_the_option(tmp_path: Path) -> None:
    path = written(
        tmp_path, {"prompt": "def f(a):\n", "chosen": "def f(a):\n    return 1", "rejected": "def f(a):\n  2"}
    )
    with pytest.raises(
        BadInput, match=r"rows\.jsonl, line 1: both answers begin .*; give --prompt-in-answers remove, o"
    ):
        rows_of(path)
    kept, cut = (
        read_rows(path, "preference", DEFAULTS, TIME, reserved=RESERVED, plain=None, prompt_in_answers=choice)
        for choice in ("keep", "remove")
    )
    assert (kept.rows[0].texts[0], kept.prompts_removed) == ("def f(a):\n    return 1", 0)
    assert (cut.rows[0].texts[0], cut.prompts_removed) == ("    return 1", 1)
    reward = written(tmp_path, {"prompt": "Hi", "completion": "His", "score": 3}, name="reward.jsonl")
    with pytest.raises(BadInput, match=r"line 1: completion begins with the whole prompt"):
        rows_of(reward, "reward")


def test_a_table_with_commas_quotes_and_line_ends_in_its_texts(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(
        '\ufeffprompt,chosen,rejected,chosen_score,note\r\n"a, ""b""","line 1\r\nline 2",r,7.5,x\r\n'
        "short,row\r\np,c,c,,\r\nq,c,r,,\r\n".encode()
    )
    found = rows_of(path)
    assert [row.prompt for row in found.rows] == ['a, "b"', "q"]
    assert found.rows[0].texts == ("line 1\r\nline 2", "r")
    assert found.rows[0].scores == (7.5, None)
    assert found.ignored == ("note",)
    assert told(found).keys() == {4, 5}
    assert "2 cells and the header 5" in told(found)[4]


def test_a_table_whose_quotes_do_not_close_is_named_where_it_breaks(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="line 3 and what follows cannot be read as CSV"):
        rows_of(written(tmp_path, "prompt,chosen,rejected", "p,c,r", 'q,"c,r', name="rows.csv"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.xlsx", "x", "neither JSONL, a JSON array, CSV nor Parquet, and what else it is was not recognised"),
        ("rows.jsonl", "\n", "holds no rows"),
        ("rows.csv", "prompt,chosen,rejected\n", "holds no rows"),
        ("rows.csv", "prompt,prompt\n1,2\n", "names a column twice"),
        ("rows.jsonl", None, "does not exist"),
    ],
)
def test_a_file_that_cannot_be_used_is_said(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match=message):
        rows_of(tmp_path / name)


# votes


@pytest.fixture
def held(tmp_path: Path) -> Stores:
    found = stores(tmp_path)
    found.add([pair(0), pair(1), reward(2)])
    return found


def votes_of(path: Path, held: Stores) -> ParsedFile:
    return read_votes(path, {one.id: one for own in held.read_all().values() for one in own}, "ann", TIME)


def test_votes_are_taken_by_the_voter_that_the_row_names_or_else_the_one_who_imports(
    tmp_path: Path, held: Stores
) -> None:
    one, other = pair(0).id, pair(1).id
    path = written(tmp_path, "id,vote,by", f"{one},up,bob", f"{one},down,", f"{other},flip,", name="votes.csv")
    found = votes_of(path, held)
    assert found.bad == ()
    assert found.votes == (
        Vote(one, "up", "bob", TIME),
        Vote(one, "down", "ann", TIME),
        Vote(other, "flip", "ann", TIME),
    )
    assert (held.vote(found.votes), held.vote(votes_of(path, held).votes)) == (3, 0)
    assert (held.find(one).up, held.find(one).down, held.find(other).flipped) == (1, 1, True)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"id": "nothing", "vote": "up"}, "there is no row 'nothing'"),
        ({"vote": "up"}, "no text in 'id'"),
        ({"id": pair(0).id, "vote": "sideways"}, "use one of up, down, flip, drop, clear"),
        ({"id": reward(2).id, "vote": "flip"}, "no sides to flip"),
        ({"id": pair(1).id, "vote": "down"}, "ann votes down on row"),
        ({"id": pair(1).id, "vote": "up", "by": 7}, "by=7 is not a name"),
    ],
)
def test_a_bad_vote_is_named_by_its_line(tmp_path: Path, held: Stores, row: Any, why: str) -> None:
    found = votes_of(written(tmp_path, {"id": pair(1).id, "vote": "up"}, row, name="votes.jsonl"), held)
    assert len(found.votes) == 1
    assert why in told(found)[2]


LINES = st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b'{"prompt": "p"}', b"a,b", b'"', b"\0", b"\r"])))


@given(lines=LINES, name=st.sampled_from(["x.jsonl", "x.csv", "x.jsonl.gz"]))
def test_any_file_is_read_or_refused_in_a_sentence(
    lines: list[bytes], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(b"\n".join(lines))
    with suppress(BadInput):
        found = rows_of(path)
        assert found.rows or found.bad
        assert all(row.why for row in found.bad)
