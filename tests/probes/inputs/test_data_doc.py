"""docs/data.md: its examples are read, and its scripts make rows that are read."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from probes.inputs.rows.columns import MEANINGFUL, USED
from probes.inputs.rows.conversation import require_prompt
from probes.inputs.rows.messages import KEPT, ROLES, turns_of
from probes.inputs.rows.texts import texts_of
from probes.inputs.rows.turns import plain

DOC = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLES = [
    json.loads(line) for block in re.findall(r"```json\n(.*?)```", DOC, re.DOTALL) for line in block.splitlines()
]
BLOCKS = re.findall(r"((?:<!-- (?:script|also): [^\n]* -->\n)+)```python\n(.*?)```", DOC, re.DOTALL)
SCRIPTS = [(given, script) for found, script in BLOCKS for given in re.findall(r"<!-- \w+: (.*?) -->\n", found)]
FORMS = 6


def test_the_forms_of_one_row_say_the_same() -> None:
    found = [texts_of(row) for row in EXAMPLES[:FORMS]]
    assert {(plain(row.prompt), *map(plain, row.sides)) for row in found} == {("Is tea hot?", "Yes.", "No.")}
    assert len({row.prompt for row in found}) == 2


@pytest.mark.parametrize("row", EXAMPLES[FORMS:-1])
def test_every_other_example_is_read(row: dict[str, Any]) -> None:
    assert texts_of(row).sides


def test_the_prompt_of_the_page_can_be_asked() -> None:
    asked = turns_of("prompt", EXAMPLES[-1]["prompt"])
    assert not isinstance(asked, str)
    require_prompt(asked)


@pytest.mark.parametrize(("given", "script"), SCRIPTS)
def test_every_script_makes_a_row_that_is_read(given: str, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], input=given + "\n", capture_output=True, text=True, check=True
    )
    check_tea(done.stdout)


def test_the_script_for_conversations_in_texts_reads_arrays_and_csv() -> None:
    given, script = SCRIPTS[-1]
    row = json.loads(given)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(row))
    writer.writeheader()
    writer.writerow(row)
    for text in (json.dumps([row], indent=1), table.getvalue(), "\ufeff" + table.getvalue()):
        done = subprocess.run([sys.executable, "-c", script], input=text, capture_output=True, text=True, check=True)
        check_tea(done.stdout)


def check_tea(line: str) -> None:
    found = texts_of(json.loads(line))
    assert [plain(side) for side in found.sides] == ["Yes.", "No."]
    assert "hot?" in plain(found.prompt)


def test_the_page_names_every_column_role_and_key_that_has_a_meaning() -> None:
    assert len(BLOCKS) == 4
    for name in (*MEANINGFUL, *USED, *KEPT):
        assert f"`{name}`" in DOC or f'"{name}"' in DOC, name
    for role in ROLES:
        assert role in DOC
