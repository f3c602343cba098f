"""Sections of a report as HTML: tables that can be scrolled, links to decisions, and text that cannot act."""

import pytest
from html_pages import parsed
from hypothesis import example, given
from hypothesis import strategies as st

from view.markdown import code, text
from view.pages.from_markdown import inline, sections

REPORT = """# Title

Before `x` -> `y`.

## Kept & more

| id | change | effect |
| --- | --- | ---: |
| 007 | `beta` | +1.00 |
| 123 | KEEP | +2.00 |

### Stack 1

- one

## Next

```text
nightlane run <study>
```
"""


def test_a_report_is_split_at_its_sections() -> None:
    found = sections(REPORT)
    assert [one.title for one in found] == ["", "Kept & more", "Next"]
    assert found[0].body.startswith("<h1>Title</h1>")
    assert "<code>x</code> → <code>y</code>" in found[0].body
    assert "nightlane run &lt;study&gt;" in found[2].body


def test_a_table_has_headings_a_name_and_links_to_known_decisions() -> None:
    table = parsed(sections(REPORT, turns=[7])[1].body)
    assert table.all("div")[0].attributes["aria-label"] == "Kept & more: table"
    assert [cell.attributes["scope"] for cell in table.all("th")] == ["col"] * 3
    assert [link.attributes["href"] for link in table.all("a")] == ["#decision-007"]
    assert [cell.text for cell in table.all("td", class_="number")] == ["+1.00", "+2.00"]
    assert table.all("span", class_="keep")[0].text == "KEEP"


@given(st.text(max_size=40))
@example("<script>alert(1)</script>")
@example("[a](javascript:alert(1)) ![b](http://c) <http://d> &lt;e&gt; [f]: http://g")
@pytest.mark.parametrize("escape", [text, code])
def test_text_of_unknown_origin_stays_text(escape: object, value: str) -> None:
    assert callable(escape)
    found = {element.tag for element in parsed(inline(escape(value))).everything()}
    assert found <= {"page", "code"}
