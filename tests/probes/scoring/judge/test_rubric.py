from pathlib import Path

import pytest
from judging import MARKS, RUBRIC, VALUE, WEIGHTS, write_rubric

from common.errors import BadInput
from probes.scoring.judge.rubric import load_rubric

ONE = '[[component]]\nname = "voice"\nweight = 1\ndefinition = "d"\n'


def test_the_rubric_of_the_source_is_read(tmp_path: Path) -> None:
    rubric = write_rubric(tmp_path)
    assert {component.name: component.weight for component in rubric.component} == WEIGHTS
    assert rubric.failures == ("breaks_character", "empty")
    assert rubric.categories["weather"] == "Sea and sky."


def test_the_overall_is_the_weighted_mean_under_the_lowest_cap_reported(tmp_path: Path) -> None:
    rubric = write_rubric(tmp_path)
    assert rubric.overall(MARKS) == pytest.approx(VALUE)
    assert rubric.overall(MARKS, ("breaks_character",)) == 2
    assert rubric.overall(MARKS, ("breaks_character", "empty")) == 0
    assert rubric.overall(dict.fromkeys(MARKS, 1), ("breaks_character",)) == pytest.approx(1)


@pytest.mark.parametrize(("mark", "value"), [(1, 0), (3, 5), (5, 10)])
def test_another_scale_is_mapped_to_ten(tmp_path: Path, mark: float, value: float) -> None:
    rubric = write_rubric(tmp_path, "scale = { low = 1, high = 5 }\n" + ONE)
    assert rubric.overall({"voice": mark}) == value


def test_the_overall_stays_within_ten_whatever_the_weights(tmp_path: Path) -> None:
    thirds = "".join(ONE.replace("voice", f"c{number}").replace("= 1\n", "= 0.1\n") for number in range(3))
    rubric = write_rubric(tmp_path, thirds)
    assert pytest.approx(10) == rubric.overall(dict.fromkeys(rubric.names, 10)) <= 10


def test_the_schema_is_closed_and_leaves_out_what_the_rubric_lacks(tmp_path: Path) -> None:
    schema = write_rubric(tmp_path).reply_schema()
    assert schema["required"] == list(schema["properties"]) == ["note", "critical_failures", "components", "overall"]
    assert schema["properties"]["components"]["required"] == list(WEIGHTS)
    assert "critical_failures" not in write_rubric(tmp_path, ONE).reply_schema()["properties"]


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("", "component is missing; add it"),
        ("component = []", "component=.* is refused"),
        ("component = [", "is not TOML"),
        (ONE + "colour = 1", "component.1.colour is no key of a rubric; correct or remove it"),
        ("colour = 1\n" + ONE, "colour is no key of a rubric"),
        (ONE.replace("= 1", "= 0"), "component.1.weight=0 is refused"),
        (ONE.replace("= 1", "= -2"), "component.1.weight=-2 is refused"),
        (ONE.replace("= 1", '= "25"'), "component.1.weight='25' is refused"),
        (ONE.replace("= 1", "= true"), "component.1.weight=True is refused"),
        (ONE.replace("= 1", "= inf"), "component.1.weight"),
        (ONE.replace("= 1", "= nan"), "component.1.weight"),
        (ONE.replace("= 1", "= 1979-05-27"), "holds a date"),
        (ONE.replace("voice", "my voice"), "must be letters, digits and _"),
        (ONE.replace("voice", "größe"), "must be letters, digits and _"),
        (ONE.replace("voice", "judge_overall"), "and none of judge_overall"),
        (ONE.replace("voice", "overall"), "and none of"),
        (ONE.replace('definition = "d"', ""), "component.1.definition is missing"),
        (ONE + ONE, "the name 'voice' is used twice"),
        (ONE + '[[critical]]\nname = "voice"\ndefinition = "d"\ncap = 1', "the name 'voice' is used twice"),
        (ONE + '[[critical]]\nname = "empty"\ndefinition = "d"\ncap = 11', "critical.1.cap=11 is refused"),
        (ONE + '[[critical]]\nname = "empty"\ndefinition = "d"', "critical.1.cap is missing"),
        ("scale = { low = 5, high = 5 }\n" + ONE, "low=5 must be below high=5"),
        (ONE + "[categories]\nweather = 3", "categories.weather=3 is refused"),
    ],
)
def test_a_rubric_that_breaks_a_law_is_refused_in_one_sentence_with_its_file(
    tmp_path: Path, text: str, law: str
) -> None:
    with pytest.raises(BadInput, match=law) as refused:
        write_rubric(tmp_path, text)
    assert str(refused.value).startswith(str(tmp_path / "rubric.toml"))
    assert "\n" not in str(refused.value).strip()


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"\(rubric under \[scorer\]\) cannot be read as UTF-8 text; write it or correct the path"
    ):
        load_rubric(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="cannot be read as UTF-8 text"):
        load_rubric(tmp_path / "bytes.toml")
    with pytest.raises(BadInput, match="cannot be read"):
        load_rubric(tmp_path)


def test_a_windows_editors_mark_at_the_start_does_no_harm(tmp_path: Path) -> None:
    assert write_rubric(tmp_path, "\ufeff" + RUBRIC).names == tuple(WEIGHTS)
