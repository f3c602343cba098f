"""The loss of a running probe over its steps."""

from textual_plotext import PlotextPlot

from view.data.training.curve import Line, smoothed

SMOOTHING = 0.8
GREY, ORANGE = (130, 130, 130), (255, 150, 40)


class LossCurve(PlotextPlot):
    """The raw loss as dots, and smoothed as a line, up to the last step that the probe will make."""

    def draw(self, line: Line, steps: int) -> None:
        self.plt.clear_data()
        self.plt.xaxes(True, False)
        self.plt.yaxes(True, False)
        self.plt.xlim(0, max(steps, 1))
        if line.steps:
            self.plt.scatter(line.steps, line.values, marker="braille", color=GREY)
            calm = smoothed(line, SMOOTHING)
            self.plt.plot(calm.steps, calm.values, marker="braille", color=ORANGE)
        self.refresh()
