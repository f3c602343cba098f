"""Templates and assets of the pages: each is used, none is forgotten in a package, and a template prints text."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from view.data.changes import Change
from view.pages.environment import FOLDER, environment, interval_bar
from view.pages.session_report import OWN

ROOT = Path(__file__).parents[3]
MADE = {"colours.css", "plotly.min.js", "package_data/plotly.min.js"}
"""Assets that are no files of ours."""


def printed(template: str, **values: object) -> str:
    return environment().from_string(template).render(values)


def test_every_template_and_asset_is_shipped_and_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = project["tool"]["setuptools"]["package-data"]["*"]
    files = [path for folder in ("templates", "assets") for path in (FOLDER / folder).rglob("*") if path.is_file()]
    for path in files:
        inside = path.relative_to(FOLDER)
        assert any(fnmatch(str(inside), one) and one.count("/") == len(inside.parts) - 1 for one in shipped), path
    using = [path for folder in (FOLDER, FOLDER.parent / "server") for path in folder.rglob("*")]
    sources = "".join(path.read_text(encoding="utf-8") for path in using if path.suffix in (".py", ".jinja"))
    used = set(re.findall(r'"([\w/.]+(?:\.jinja|\.css|\.js))"', sources)) - MADE
    used |= {f"report/{name}.html.jinja" for name in OWN}
    names = {str(Path(*path.relative_to(FOLDER).parts[1:])) for path in files}
    assert names == used
    for name in names:
        if name.endswith(".jinja"):
            environment().get_template(name)


def test_what_a_template_prints_is_text_without_control_characters_and_secrets() -> None:
    assert printed("{{ value }}", value="<b>\x1b[31m & 'a'\u202e") == "&lt;b&gt; [31m &amp; &#39;a&#39;"
    assert "sk-abcdefgh1234" not in printed("{{ value }}", value="key sk-abcdefgh1234")
    assert printed("{{ nothing }}|{{ 3 }}", nothing=None) == "|3"
    with pytest.raises(UndefinedError):
        printed("{{ figurs }}")


def test_a_bar_marks_an_end_beyond_its_scale() -> None:
    assert str(interval_bar(Change(0.1, -0.2, 0.4), 1.0)).count("beyond") == 0
    assert str(interval_bar(Change(0.1, -2.0, 0.4), 1.0)).count("beyond") == 1
    assert str(interval_bar(Change(3.0, -2.0, 4.0), 1.0)).count("beyond") == 2
