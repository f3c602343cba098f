"""Templates: what they print is escaped, an undefined name is an error, the layout is corrected."""

import re
import tomllib
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from view.templating import FOLDERS, environment, lay_out

ROOT = Path(__file__).parents[3]


def printed(template: str, **values: object) -> str:
    return environment().from_string(template).render(values)


def test_text_is_escaped_unless_a_filter_made_markdown_of_it() -> None:
    assert printed("{{ value }}", value="**a** <b> | [c](d)") == r"\*\*a\*\* &lt;b> \| \[c\](d)"
    assert printed("{{ value | code }}", value="beta") == "`beta`"
    assert printed("{{ value | code }}", value="a|b`") == r"a\|b\`"
    assert printed("{{ value | short(4) }}", value="**long**") == r"\*\*l…"
    assert printed("{% macro bold(x) %}**{{ x }}**{% endmacro %}{{ bold(value) }}", value="*") == r"**\***"
    assert printed("{{ value }}{{ none_at_all }}", value=3, none_at_all=None) == "3"


def test_a_name_that_is_not_defined_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="figurs"):
        printed("{{ figurs.session }}")
    with pytest.raises(UndefinedError, match="no attribute"):
        printed("{{ value.wrong }}", value="text")


def test_a_line_of_tags_leaves_no_line_and_another_line_keeps_its_end() -> None:
    template = "{% for one in values %}\n{{ one }}{% if one > 1 %} many{% endif %}\n{% endfor %}\nend"
    assert printed(template, values=[1, 2]) == "1\n2 many\nend"


def test_paragraphs_are_joined_tables_aligned_and_code_left_alone() -> None:
    written = ["# Title", "a", "  b", "", "", "- one", "  goes on", "- two"]
    written += ["|a|b|", "|---|---:|", r"| long \| cell | 1 |", "```text", " x", "", "", "```", "end"]
    found = lay_out("\n".join(written))
    assert found == (
        "# Title\n\na b\n\n- one goes on\n- two\n\n"
        "| a            |   b |\n| ------------ | --: |\n| long \\| cell |   1 |\n\n"
        "```text\n x\n\n\n```\n\nend\n"
    )


def test_every_template_is_used_and_shipped() -> None:
    paths = [path for folder in FOLDERS for path in folder.glob("*.md.jinja")]
    names = {path.name.removesuffix(".md.jinja"): path.read_text(encoding="utf-8") for path in paths}
    assert len(names) == len(paths)
    used = {name for text in names.values() for name in re.findall(r'"(\w+)(?:\.md\.jinja)?"', text)}
    pages = {"report", "evaluation", "study_evaluation", "promotion", "audit"}
    cards = {"dataset_card", "proposer_card", "model_card", "export"}
    assert names.keys() - used == pages | cards
    for name in names:
        environment().get_template(f"{name}.md.jinja")
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert "templates/*.jinja" in shipped["*"]
