import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import MARKS, PLAIN, VALUE, good

from probes.scoring.judge.judgement import MAX_REPLY, Judgement, UnreadableJudgement, mean_mark, read_judgement
from probes.scoring.judge.rubric import Rubric
from probes.scoring.protocol import Mark, Missing

NO_CRITICAL = PLAIN.model_copy(update={"critical": ()})
FULL = Judgement(MARKS, (), 7.0, "plain")


def marks(text: str, rubric: Rubric = PLAIN) -> dict[str, float] | None:
    """The marks read, None for an unreadable reply; any other exception is the test's failure."""
    try:
        return dict(read_judgement(text, rubric).marks)
    except UnreadableJudgement as error:
        why = str(error)
    assert why.isprintable()
    assert len(why) < 300
    return None


READ = {
    "json": good(),
    "indented": json.dumps(json.loads(good()), indent=2),
    "fenced": f"```json\n{good()}\n```",
    "prose before a fence": f"My judgement follows.\n\n```json\n{good()}\n```\n",
    "thought": f'<think>voice {{maybe}} {good(voice=1)}, "voice": 2</think>\n{good()}',
    "another key": good()[:-1] + ', "confidence": 3}',
    "a comma too many": good()[:-1] + ",}",
    "single quotes": good().replace('"', "'"),
    "no last brace": good()[:-1] + ",",
    "a comma missing": good().replace('7.5, "historical"', '7.5\n"historical"'),
    "bare keys": re.sub(r'"(\w+)":', r"\1:", good()),
}


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_a_reply_in_full_is_read_whatever_its_dress(text: str) -> None:
    judgement = read_judgement(text, PLAIN)
    assert (judgement.marks, judgement.critical) == (MARKS, ())


def test_parts_of_a_judgement() -> None:
    assert read_judgement(good(), PLAIN) == FULL
    text = good(overall=3, critical=["empty", "breaks_character", "empty"])
    assert read_judgement(text, PLAIN) == Judgement(MARKS, ("breaks_character", "empty"), 3.0, "plain")
    assert read_judgement(good(critical=None), NO_CRITICAL) == FULL


@pytest.mark.parametrize("overall", [None, "7", True, -1, 10.5, 70, [7], 10**400], ids=repr)
def test_an_overall_of_the_judges_that_is_none_is_left_out_and_the_marks_stand(overall: Any) -> None:
    assert read_judgement(good(overall=overall), PLAIN).overall is None


UNREADABLE = {
    "empty": ("", "it is empty"),
    "only thought": (f"{good()}</think>", "it is empty"),
    "prose": ("I would give it a seven.", "it is"),
    "a quoted judgement": (f"The answer holds its own, {good(voice=9)}, which I must not follow.", "nothing else"),
    "a bare draft": (f"{good()} On reflection this should be lower.", "it says more after the object"),
    "a draft": (f"Draft: {good()}\n\nOn reflection this should be lower.", "nothing else"),
    "a correction": (f"```json\n{good()}\n```\nCorrection: voice should be 2.", "nothing else"),
    "an endless thought": (f"<think>Maybe {good(voice=9)}? No, that is far too high; rather", "it is empty"),
    "a change of mind": (good().replace('"voice": 8,', '"voice": 9, no wait, 3,'), "does not state voice once"),
    "an alternative": (good().replace('"voice": 8,', '"voice": 9, or 3,'), "does not state voice once"),
    "a letter for a digit": (good().replace('"voice": 8,', '"voice": 1, O,'), "does not state voice once"),
    "a number after the object": (good().replace("9.25}", "9}.25}"), "does not state integrity once"),
    "a list that ends too early": (good(critical=["empty"]).replace('["empty"]', '[]"empty"]'), "it is no JSON"),
    "a list under a torn name": (
        good().replace('"critical_failures": []', '[], "critical_failures ": ["empty"]'),
        "critical_failures is missing",
    ),
    "null": ("null", "it is not one JSON object"),
    "a list": (f"[{good()}]", "it is not one JSON object"),
    "a number": ("7", "it is not one JSON object"),
    "nan": (good(voice=float("nan")), "NaN is not a JSON number"),
    "infinity": (good(overall=float("inf")), "Infinity is not a JSON number"),
    "overflow": (good().replace('"voice": 8', '"voice": 1e999'), "voice=inf is no number from 0 to 10"),
    "huge": (good(voice=10**400), "voice=1000"),
    "too many digits": (good().replace('"voice": 8', '"voice": ' + "9" * 5000), ""),
    "above": (good(voice=11), "voice=11 is no number from 0 to 10"),
    "below": (good(voice=-1), "voice=-1 is no number from 0 to 10"),
    "true": (good(voice=True), "voice=True is no number"),
    "a text": (good(voice="7"), "voice='7' is no number"),
    "null mark": (good(voice=None), "voice=None is no number"),
    "an object": (good(voice={"mark": 7}), "is no number"),
    "one missing": (good().replace('"voice": 8, ', ""), "components has no voice"),
    "no components": (json.dumps({"overall": 7, "critical_failures": []}), "components is missing"),
    "flat": (json.dumps({**MARKS, "overall": 7, "critical_failures": []}), "components is missing"),
    "twice": (good().replace('"voice": 8', '"voice": 8, "voice": 9'), "it gives 'voice' more than once"),
    "two overalls": (good()[:-1] + ', "overall": 1}', "it gives 'overall' more than once"),
    "no list": (good(critical=None), "critical_failures is missing"),
    "no list but a text": (good(critical="empty"), "critical_failures is missing or no list"),
    "unknown failure": (good(critical=["rude"]), "critical_failures holds 'rude'"),
    "odd failure": (good(critical=[{"name": "empty"}]), "which the rubric does not define"),
    "two judgements": (f"{good()}\n{good(voice=1)}", ""),
    "an answer quoted": (f"The answer says {good(voice=10)} and I say {good(voice=1)}", ""),
    "torn number": (good(integrity=10)[: good(integrity=10).index('"integrity": 1') + 14], "integrity"),
    "torn list": ('{"components": ' + json.dumps(MARKS) + ', "critical_failures": ["empty"', "critical_failures"),
    "a comma for a point": (good().replace('"rhetorical": 7.5', '"rhetorical": 7,5'), "rhetorical"),
    "a share": (good().replace('"voice": 8', '"voice": 8/10'), "voice"),
    "a comment": (good().replace('"voice": 8', '"voice": 8 // of 100'), ""),
    "a break within": (good().replace('"historical": 10', '"historical": 1\n0'), "historical"),
    "a quote at its end": (good().replace('"historical": 10,', '"historical": 10\''), "historical"),
    "a plus": (good().replace('"voice": 8', '"voice": +8'), "voice"),
    "other digits": (good().replace('"voice": 8', '"voice": ８'), "voice"),
    "deep": ("[" * 19_000, "it is not one JSON object"),
    "deep objects": ('{"components":' * 1_300, ""),
    "10 MB": ("x" * 10_000_000, f"it is 10000000 characters long and at most {MAX_REPLY} are read"),
    "padded": (good() + " " * MAX_REPLY, "characters long"),
}


@pytest.mark.parametrize(("text", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_reply_that_is_no_full_judgement_is_not_read(text: str, why: str) -> None:
    with pytest.raises(UnreadableJudgement) as unreadable:
        read_judgement(text, PLAIN)
    assert why in str(unreadable.value)


# whatever comes


FINE = st.one_of(st.integers(0, 10), st.floats(0, 10), st.sampled_from([10, 1.25, 0.5, 1e-3, 10.0]))
FULL_REPLIES = st.builds(
    lambda values, overall, critical, indent: json.dumps(
        {
            "note": "n",
            "critical_failures": critical,
            "components": dict(zip(MARKS, values, strict=True)),
            "overall": overall,
        },
        indent=indent,
    ),
    st.tuples(*[FINE] * len(MARKS)),
    FINE,
    st.lists(st.sampled_from(PLAIN.failures)),
    st.sampled_from([None, 1]),
)


@given(FULL_REPLIES, st.data())
def test_a_torn_reply_gives_what_the_whole_one_gives_or_nothing(text: str, data: st.DataObject) -> None:
    whole = read_judgement(text, PLAIN)
    for end in (data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(len(text) - 20, len(text) - 1))):
        try:
            torn = read_judgement(text[:end], PLAIN)
        except UnreadableJudgement:
            continue
        assert (torn.marks, torn.critical) == (whole.marks, whole.critical)
        assert torn.overall in (None, whole.overall)


def test_every_place_where_a_reply_can_tear() -> None:
    text = good(critical=["empty"], integrity=10, overall=10)
    whole = read_judgement(text, PLAIN)
    for end in range(len(text)):
        try:
            torn = read_judgement(text[:end], PLAIN)
        except UnreadableJudgement:
            continue
        assert (torn.marks, torn.critical, end > text.index("}")) == (whole.marks, whole.critical, True)


def stated(text: str, name: str) -> list[float]:
    """Every number that the text gives after a name, found without any parser of JSON."""
    found = re.findall(rf"""{name}["']?\s*:\s*([^\s,}}\]]+)""", text)
    return [float(token) for token in found if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", token)]


@given(FULL_REPLIES, st.data())
def test_a_changed_reply_gives_only_numbers_that_stand_in_it(text: str, data: st.DataObject) -> None:
    letters = list(text)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(letters) - 1))
        letters[place] = data.draw(st.text('{}[]":,\'`/\n 0159e-.naN"', max_size=3) | st.text(max_size=2))
    changed = "".join(letters)
    for name, mark in (marks(changed) or {}).items():
        assert mark in stated(changed, name)


@given(st.text(max_size=300) | st.text("{}[]\":,\\'`/\n 0e-.naNvoice", max_size=300))
def test_any_text_is_read_in_full_or_not_at_all(text: str) -> None:
    assert marks(text) is None


ATOMS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)
TREES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@given(st.dictionaries(st.sampled_from([*MARKS, "other"]), TREES))
def test_any_mark_is_a_number_on_the_scale_or_the_reply_is_not_read(changes: dict[str, Any]) -> None:
    for mark in (marks(good(**changes)) or {}).values():
        assert 0 <= mark <= 10


# marks


def test_a_mark_is_the_weighted_mean_with_its_parts_and_the_judges_own_overall() -> None:
    mark = mean_mark([FULL], PLAIN)
    assert isinstance(mark, Mark)
    assert mark.value == pytest.approx(VALUE)
    assert mark.components == {**MARKS, "judge_overall": 7.0}
    assert (mark.critical, mark.outcome, mark.note) == ((), "JUDGED", "plain")


def test_several_passes_give_their_mean_and_spread_and_any_critical_failure() -> None:
    other = Judgement({**MARKS, "voice": 4.0}, ("breaks_character",), None)
    mark = mean_mark([FULL, other], PLAIN)
    assert isinstance(mark, Mark)
    assert mark.value == pytest.approx((VALUE + 2) / 2)
    assert mark.components["voice"] == 6
    assert mark.components["pass_spread"] == pytest.approx((VALUE - 2) / 2**0.5)
    assert "judge_overall" not in mark.components
    assert (mark.critical, mark.outcome) == (("breaks_character",), "CRITICAL")


def test_a_mark_needs_every_pass() -> None:
    assert mean_mark([FULL, Missing("why")], PLAIN) == Missing("why")


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([*"{}[]\",:'\\ \n", "cut", "tear"])), max_size=3))
def test_no_slip_of_the_pen_changes_a_mark_or_loses_a_failure(edits: list[tuple[int, str]]) -> None:
    """Signs put in, taken out, and a tear anywhere: what is read is what was said, or it is not read."""
    text = whole = good(critical=["empty"], voice=10)
    for place, sign in edits:
        at = place % max(1, len(text))
        if sign == "tear":
            text = text[:at]
        elif sign == "cut":
            text = text[:at] + text[at + 1 :] if not text[at : at + 1].isdigit() and text[at : at + 1] != "." else text
        else:
            text = text[:at] + sign + text[at:]
    try:
        found = read_judgement(text, PLAIN)
    except UnreadableJudgement:
        return
    meant = read_judgement(whole, PLAIN)
    assert (found.marks, found.critical) == (meant.marks, meant.critical)
