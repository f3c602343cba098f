"""Plain answers that begin with their prompt: removed where that is plain or asked for, and refused otherwise."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from pydantic import ValidationError

from common.errors import BadInput
from probes.inputs.rows.repeated_prompts import removes_prompts, setting_of
from probes.inputs.rows.texts import Texts, texts_of
from probes.inputs.rows.turns import Turn
from probes.inputs.settings import DataSettings
from probes.inputs.sources import read_source

PAIR = ("chosen", "rejected")
ASIDE = "\n\nHuman: Is it?\n\nAssistant:"
HEADER = "def add(a, b):\n"


def row(prompt: Any, chosen: Any, rejected: Any) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def whole(prompt: str) -> dict[str, Any]:
    return row(prompt, f"{prompt} yes", f"{prompt} no")


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def removes(*rows: dict[str, Any] | BadInput, setting: Any = None) -> bool:
    return removes_prompts("rows.jsonl, line", list(enumerate(rows, start=1)), PAIR, setting)


def test_dialogues_that_all_rows_repeat_lose_their_prompt_and_are_counted(tmp_path: Path) -> None:
    source = read_source("hh", written(tmp_path, whole(ASIDE), whole("Q: Is it?\nA:"), row([{}], "yes", "no")))
    assert [pair.chosen for pair in source.pairs] == [" yes", " yes"]
    assert source.notes == ("source hh: the prompt is taken off the answers of 2 of 2 rows",)
    assert read_source("a", written(tmp_path, row("is it?", "yes", "no"))).notes == ()


def test_rows_that_are_bad_or_no_plain_texts_do_not_count() -> None:
    others: list[Any] = [BadInput("it is bad"), row(None, "yes", "no"), row([{}], "yes", "no")]
    others.append(row("is it?", "yes", " "))
    assert removes(whole(ASIDE), *others)
    assert not removes(*others)


@pytest.mark.parametrize(
    "rows",
    [
        [whole(ASIDE), row(ASIDE, " yes", " no")],
        [whole(ASIDE), whole("Is it?")],
        [row(HEADER, f"{HEADER}    return 1\n", f"{HEADER}    return 2\n")] * 3,
        [row("Hi", "His answer is no.", "Hi there.")],
        [row("is it?", "yes", "no"), row("Question: is it? ", "Question: is it?\nYes", "\nQuestion: is it? No")],
        [whole(f"Question {number}: what?") for number in range(6)],
    ],
)
def test_what_may_be_the_answer_is_refused_without_a_setting(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = written(tmp_path, *rows)
    with pytest.raises(BadInput, match=r"rows\.jsonl, line [12]: both answers begin with the whole prompt") as refused:
        read_source("s", path)
    assert str(refused.value).endswith('; set prompt_in_answers = "remove" or "keep" under [data]')
    kept = read_source("s", path, "keep")
    assert [(pair.chosen, pair.rejected) for pair in kept.pairs] == [(one["chosen"], one["rejected"]) for one in rows]
    assert not kept.notes
    assert read_source("s", path, "remove").prompts_removed > 0


def test_the_refusal_shows_both_answers() -> None:
    with pytest.raises(BadInput, match=r"\(so in 1 of 2 rows of plain texts\)") as refused:
        removes(row("Hi", "yes", "no"), row(HEADER, f"{HEADER}    return 1\n", f"{HEADER}    return 2\n"))
    assert r"without the prompt, chosen is '    return 1\n', and with it 'def add(a, b):\n    return 1\n';" in str(
        refused.value
    )


def test_rows_in_which_one_answer_begins_with_the_prompt_ask_for_nothing() -> None:
    assert not removes(row("is it?", "is it? yes", "no"), row("is it?", "yes", "no"))


def test_where_prompts_are_removed_both_answers_have_them_or_neither() -> None:
    assert removes(row("is it?", "yes", "no"), setting="remove")
    assert texts_of(whole(ASIDE), remove_prompt=True) == Texts(ASIDE, (" yes", " no"))
    assert texts_of({**whole(ASIDE), "system": "brief"}, remove_prompt=True).sides[0] == (Turn("assistant", " yes"),)
    assert texts_of(row("is it? ", "is it?\nyes", "\nis it? no"), remove_prompt=True).sides == ("\nyes", " no")
    assert texts_of(row("is it?", "yes", "no"), remove_prompt=True).sides == ("yes", "no")
    with pytest.raises(BadInput, match=r"chosen begins with the whole prompt, which is taken off .*, and rejected do"):
        texts_of(row("is it?", "is it? yes", "no"), remove_prompt=True)
    with pytest.raises(BadInput, match="begin with the whole prompt, and chosen ends where it does and holds no answ"):
        texts_of(row("is it?", "is it? ", "is it? no"), remove_prompt=True)


def test_a_study_says_it_for_all_sources_or_for_one(tmp_path: Path) -> None:
    path = written(tmp_path, whole("is it?"))
    given: dict[str, Any] = {"sources": {"a": str(path), "b": str(path)}, "manifests": {"m": {"a": 1.0}}}
    plainly, removing = DataSettings(**given), DataSettings(**given, prompt_in_answers="remove")
    by_source = DataSettings(**given, prompt_in_answers={"b": "keep"})
    assert "prompt_in_answers" not in plainly.model_dump()
    assert [by_source.prompt_in(name) for name in "ab"] == [None, "keep"]
    (tmp_path / "prompts.jsonl").touch()
    material = tiny.material(tmp_path)
    pairs = {name: source.pairs[0].chosen for name, source in replace(material, data=removing).read_sources.items()}
    assert pairs == {"a": " yes", "b": " yes"}
    keys = {replace(material, data=data).key("x", "base").data for data in (plainly, removing, by_source)}
    assert len(keys) == 3
    with pytest.raises(ValidationError, match="prompt_in_answers names 'c', which is no source; known: a, b"):
        DataSettings(**given, prompt_in_answers={"c": "keep"})
    with pytest.raises(ValidationError, match="prompt_in_answers"):
        DataSettings(**given, prompt_in_answers="guess")  # type: ignore[arg-type]


def test_the_option_is_one_of_two_words() -> None:
    assert [setting_of(text) for text in (None, "remove", "keep")] == [None, "remove", "keep"]
    with pytest.raises(BadInput, match="--prompt-in-answers 'cut' is not known; use remove or keep"):
        setting_of("cut")
