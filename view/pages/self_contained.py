"""A page that is one file: styles, scripts and figures are in it, and nothing is requested from anywhere."""

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources

from markupsafe import Markup

from view.charts.chart import Chart
from view.charts.palette import COLOURS
from view.pages.environment import asset, environment

PLOTLY = "package_data/plotly.min.js"


def self_contained(template: str, charts: Sequence[Chart], **values: object) -> str:
    """The page of a template, which extends its ``layout``. Plotly's JavaScript, as its package ships it, is in the
    page only if there are charts."""
    return (
        environment()
        .get_template(template)
        .render(
            layout="file.html.jinja",
            style=asset("page.css"),
            charts=chart_data(charts),
            scripts=[Markup(plotly_script()), asset("charts.js")] if charts else [],
            **values,
        )
    )


@cache
def plotly_script() -> str:
    return (resources.files("plotly") / PLOTLY).read_text(encoding="utf-8")


def chart_data(charts: Sequence[Chart]) -> Markup:
    """The figures and the colours of a dark screen as JSON that cannot end its element."""
    figures = {chart.name: json.loads(chart.figure.to_json()) for chart in charts}
    dark = {colour.light: colour.dark for colour in COLOURS}
    text = json.dumps({"figures": figures, "dark": dark}, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
