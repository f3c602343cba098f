"""Near duplicates: what is one task in other clothes, what is another task, and that rare shingles find them all."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from probes.inputs.duplicates import NEAR, Wording, Wordings
from probes.inputs.prompts import Prompt, check_splits
from probes.inputs.training_rows import check_overlap, load_source
from testing import simulated_study

LETTER = (
    "Write a letter of at most two hundred words to your sister in the country, in which you tell her why you have "
    "decided to sell the house and what is to become of the garden that she planted there"
)


def prompt(name: str, split: str, text: str) -> Prompt:
    return Prompt(name, split, "letters", 1, text, {})


def similarity(one: str, other: str) -> float:
    return Wording.of(one).similarity(Wording.of(other))


def test_case_spaces_and_punctuation_make_no_other_text() -> None:
    assert similarity("What is a  shoal?", "what is a shoal") == 1
    assert similarity("“Name it,” she said.", '"Name it", she said') == 1
    assert similarity("ﬁne", "FINE") == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("# plus_6(b): the sum of b and 6", "# plus_7(b): the sum of b and 7"),
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("What is 3 < 4?", "What is 3 > 4?"),
        (f"{LETTER} in 1911", f"{LETTER} in 1912"),
        (f"{LETTER}, as old_keeper", f"{LETTER}, as new_keeper"),
        ("one two three four five", "one two three four six"),
        ("🙂", "🙃"),
        ("什么是灯塔", "什么是港口"),
    ],
)
def test_another_number_name_or_sign_is_another_task(one: str, other: str) -> None:
    assert similarity(one, other) < NEAR


def test_a_word_changed_in_a_long_prompt_is_refused_with_both_ids_and_the_similarity() -> None:
    changed = LETTER.replace("planted there", "planted here")
    both = [prompt("probe-1", "probe", LETTER), prompt("holdout-9", "holdout", changed)]
    with pytest.raises(BadInput, match=r"holdout prompt 'holdout-9' is 0\.9\d similar to probe prompt 'probe-1'"):
        check_splits(Path("prompts.jsonl"), both)
    check_splits(Path("prompts.jsonl"), [prompt("a", "probe", LETTER), prompt("b", "probe", changed)])


@pytest.mark.parametrize("splits", [("probe", "harvest"), ("holdout", "harvest"), ("holdout", "probe")])
def test_every_two_splits_are_held_together(splits: tuple[str, str]) -> None:
    short = [prompt("a", splits[0], "What is a shoal?"), prompt("b", splits[1], "what is a shoal")]
    with pytest.raises(BadInput, match=r"'[ab]' is 1\.00 similar to .* prompt '[ab]'"):
        check_splits(Path("prompts.jsonl"), short)


def test_training_prompts_near_probe_and_holdout_prompts_are_refused_and_near_harvest_prompts_are_not(
    tmp_path: Path,
) -> None:
    rows = [{"prompt": LETTER.upper().replace("THERE", "HERE"), "chosen": "c", "rejected": "r"}]
    simulated_study.write_jsonl(tmp_path / "a.jsonl", rows)
    sources = {"a": load_source("a", tmp_path / "a.jsonl")}
    for split in ("probe", "holdout"):
        with pytest.raises(BadInput, match=rf"line 1: the prompt is 0\.9\d similar to the {split} prompt 'x'"):
            check_overlap({"a": tmp_path / "a.jsonl"}, sources, [prompt("x", split, LETTER)])
    check_overlap({"a": tmp_path / "a.jsonl"}, sources, [prompt("x", "harvest", LETTER)])


def test_every_turn_of_a_training_conversation_is_looked_at(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": LETTER + "!"}]
    simulated_study.write_jsonl(tmp_path / "a.jsonl", [{"prompt": turns, "chosen": "c", "rejected": "r"}])
    with pytest.raises(BadInput, match="is also, or holds, the probe prompt"):
        check_overlap(
            {"a": tmp_path / "a.jsonl"},
            {"a": load_source("a", tmp_path / "a.jsonl")},
            [prompt("x", "probe", LETTER)],
        )


@given(st.integers(0, 2**32), st.integers(6, 40))
def test_the_index_finds_what_comparing_with_every_text_finds(seed: int, length: int) -> None:
    chance = random.Random(seed)
    texts = [" ".join(chance.choices("abcdefgh", k=length)) for _ in range(4)]
    for text in list(texts):
        words = text.split()
        words[chance.randrange(length)] = "z"
        texts.append(" ".join(words))
        texts.append(f"{text} and")
    known = Wordings((text, number) for number, text in enumerate(texts[:6]))
    for text in texts[6:]:
        best = max(similarity(text, other) for other in texts[:6])
        found = known.near(text)
        assert (found is not None) == (best >= NEAR)
        assert found is None or found[1] == best


def test_a_preamble_that_all_share_hides_no_duplicate() -> None:
    preamble = " ".join(f"word{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(60))
    tasks = [
        f"{preamble} {' '.join(chr(97 + n // 26) + chr(97 + n % 26) + end for end in 'qrstuvwxyz' * 2)}"
        for n in range(120)
    ]
    known = Wordings((text, number) for number, text in enumerate(tasks))
    assert known.near(tasks[100].replace("worda", "another", 1)) is not None
    found = known.near(tasks[100].replace("worda", "another", 1))
    assert found is not None
    assert found[0] == 100


SHOAL = "Why is the shoal off Harn Point marked twice on the chart?"


@pytest.mark.parametrize(
    "text",
    [
        f"Please, {SHOAL}",
        f"1. {SHOAL}",
        f"Q7: {SHOAL}",
        f"Hello. I have a question: {SHOAL} Thank you.",
        f"<|im_start|>user\n{SHOAL}<|im_end|>\n<|im_start|>assistant\n",
        f"[INST] {SHOAL} [/INST]",
        f"Human: {SHOAL}\n\nAssistant:",
        SHOAL.replace("shoal", "sho\u00adal"),
    ],
)
def test_a_prompt_within_a_longer_text_is_the_same_prompt(tmp_path: Path, text: str) -> None:
    reserved = [prompt("mine", "probe", SHOAL)]
    simulated_study.write_jsonl(tmp_path / "a.jsonl", [{"prompt": text, "chosen": "yes", "rejected": "no"}])
    with pytest.raises(BadInput, match="the probe prompt 'mine'"):
        check_overlap({"a": tmp_path / "a.jsonl"}, {"a": load_source("a", tmp_path / "a.jsonl")}, reserved)
    for splits in (("probe", "holdout"), ("holdout", "probe"), ("harvest", "probe")):
        with pytest.raises(BadInput, match="splits must be disjoint"):
            check_splits(Path("p.jsonl"), [prompt("a", splits[0], SHOAL), prompt("b", splits[1], text)])


def test_what_others_say_in_an_answer_is_looked_at_and_the_answer_is_not(tmp_path: Path) -> None:
    reserved = [prompt("mine", "holdout", SHOAL)]

    def row(*turns: tuple[str, str]) -> dict[str, object]:
        chosen = [{"role": role, "content": content} for role, content in turns]
        asked = [{"role": "user", "content": "Good evening."}]
        return {"prompt": asked, "chosen": chosen, "rejected": [{"role": "assistant", "content": "no"}]}

    path = tmp_path / "a.jsonl"
    simulated_study.write_jsonl(path, [row(("assistant", f"You asked: {SHOAL}"))])
    check_overlap({"a": path}, {"a": load_source("a", path)}, reserved)
    simulated_study.write_jsonl(path, [row(("assistant", "Yes?"), ("tool", SHOAL), ("assistant", "It moves."))])
    with pytest.raises(BadInput, match="the holdout prompt 'mine'"):
        check_overlap({"a": path}, {"a": load_source("a", path)}, reserved)


def test_a_word_changed_at_the_end_or_in_the_middle_of_an_ordinary_prompt_is_refused() -> None:
    words = LETTER.split()
    assert similarity(" ".join(words[:16]), " ".join([*words[:15], "house"])) >= NEAR
    assert similarity(" ".join(words[:22]), " ".join([*words[:10], "house", *words[11:22]])) >= NEAR
