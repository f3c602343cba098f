"""The curve of a run is read while it grows, to its last whole row; smoothed, and thinned without losing a spike."""

import json
from pathlib import Path

import pytest

from view.data.training.curve import Curve, CurveLine, smoothed, thinned


def row(step: int, loss: float, **more: float) -> str:
    return json.dumps({"step": step, "loss": loss, **more}) + "\n"


def test_a_curve_grows_with_its_file_and_ends_before_half_a_row(tmp_path: Path) -> None:
    curve, path = Curve(tmp_path).refresh(), tmp_path / "train.jsonl"
    assert (curve.step, curve.last, curve.line("loss")) == (0, {}, CurveLine([], []))
    path.write_text(row(1, 0.7) + row(2, 0.6)[:9], encoding="utf-8")
    assert curve.refresh().line("loss") == CurveLine([1], [0.7])
    path.write_text(row(1, 0.7) + row(2, 0.6) + row(3, 0.5).strip(), encoding="utf-8")
    assert curve.refresh().line("loss") == CurveLine([1, 2, 3], [0.7, 0.6, 0.5]), "the last row lacks only its line end"
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n" + row(4, 0.4))
    assert curve.refresh().line("loss").steps == [1, 2, 3, 4]
    assert curve.last["loss"] == 0.4


def test_a_run_that_was_resumed_begins_its_curve_anew(tmp_path: Path) -> None:
    curve, path = Curve(tmp_path), tmp_path / "train.jsonl"
    path.write_text("".join(row(step, 1.0) for step in range(1, 9)), encoding="utf-8")
    assert curve.refresh().step == 8
    path.write_text(row(1, 1.0) + row(2, 0.9), encoding="utf-8")
    assert curve.refresh().line("loss") == CurveLine([1, 2], [1.0, 0.9])


def test_what_is_no_number_is_a_gap_and_what_is_no_row_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(
        row(1, 0.7) + "garbage\n" + '{"step": 2, "loss": NaN, "grad_norm": 3}\n' + '{"loss": 1}\n' + row(3, 0.5),
        encoding="utf-8",
    )
    curve = Curve(tmp_path).refresh()
    assert curve.line("loss") == CurveLine([1, 3], [0.7, 0.5])
    assert curve.line("grad_norm") == CurveLine([2], [3.0])
    assert curve.line("token_accuracy") == CurveLine([], [])


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant() -> None:
    steady = CurveLine(range(1, 50), [2.0] * 49)
    assert smoothed(steady, 0.9).values == pytest.approx(steady.values)
    noisy = CurveLine([1, 2, 3], [1.0, 3.0, 1.0])
    assert smoothed(noisy, 0.0).values == noisy.values
    assert smoothed(noisy, 0.5).values == pytest.approx([1.0, 7 / 3, 11 / 7])


def test_a_long_line_keeps_its_ends_and_its_spikes() -> None:
    values = [1.0] * 50_000
    values[12_345], values[40_000] = 99.0, -7.0
    found = thinned(CurveLine(range(50_000), values), 400)
    assert len(found.steps) <= 400
    assert (found.steps[0], found.steps[-1]) == (0, 49_999)
    assert {(12_345, 99.0), (40_000, -7.0)} <= set(zip(found.steps, found.values, strict=True))
    short = CurveLine([1, 2], [1.0, 2.0])
    assert thinned(short) is short
