"""The charts of training: which lines they have, and in which colours."""

from pathlib import Path

from testing.workspace_files import write_curve
from view.charts.palette import BLUE, GREEN, ORANGE, PURPLE, RUNS
from view.charts.training import training_charts
from view.data.training.curve import Curve


def curve(folder: Path, steps: int) -> Curve:
    folder.mkdir()
    write_curve(folder, range(1, steps + 1), steps)
    return Curve(folder).refresh()


def test_each_chart_of_a_run_has_its_colour_a_raw_line_and_a_smoothed_one(tmp_path: Path) -> None:
    charts = training_charts([("a run", curve(tmp_path / "a", 30))])
    assert [chart.name for chart in charts] == ["loss", "token_accuracy", "grad_norm", "learning_rate"]
    for chart, colour in zip(charts, (ORANGE, GREEN, PURPLE, BLUE), strict=True):
        lines = chart.figure.data
        assert {line.line.color for line in lines} == {colour.light}
        assert len(lines) == (1 if chart.name == "learning_rate" else 2), "a schedule is not smoothed"
        assert chart.figure.layout.meta["linked"] == "step"
    raw, smooth = charts[2].figure.data
    assert max(smooth.y) - min(smooth.y) < max(raw.y) - min(raw.y)
    assert "a run from 0.71 to 0.4 over 30 steps" in charts[0].summary
    assert len(training_charts([("a run", curve(tmp_path / "b", 30))], smoothing="none")[0].figure.data) == 1


def test_runs_in_one_chart_differ_in_colour_and_in_dash(tmp_path: Path) -> None:
    curves = [(f"<b>{number}", curve(tmp_path / str(number), 10 * number)) for number in (1, 2, 3)]
    loss = training_charts(curves, scale="log")[0].figure
    smooth = loss.data[1::2]
    assert [line.line.color for line in smooth] == [colour.light for colour in RUNS[:3]]
    assert len({line.line.dash for line in smooth}) == 3
    assert [len(line.x) for line in smooth] == [10, 20, 30]
    assert loss.layout.yaxis.type == "log"
    assert smooth[0].name.startswith("&lt;b&gt;1"), "a name is no markup"


def test_a_figure_that_no_row_has_has_no_chart(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"step": 1, "loss": 0.5}\n', encoding="utf-8")
    assert [chart.name for chart in training_charts([("x", Curve(tmp_path).refresh())])] == ["loss"]
    assert training_charts([("x", Curve(tmp_path / "nothing").refresh())]) == ()
