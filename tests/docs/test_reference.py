"""The generated pages of docs/ are those that the code writes."""

import csv
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent.ledger.results.columns import COLUMNS, DEFINITIONS
from agent.study.schema import StudyFile
from cli.reference import DOCS, PAGES, SECTIONS
from lanes.knobs import KnobSettings
from lanes.search_space import LaneSettings
from probes.scoring import SCORERS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "write it again with: make docs"


def test_every_section_of_a_study_has_its_place() -> None:
    described = {name for name, _, _ in SECTIONS}
    assert described | {"name", "lab", "guards", "scorer", "lanes"} == set(StudyFile.model_fields)


def test_every_key_of_a_study_says_what_it_means() -> None:
    tables: list[type[BaseModel]] = [settings for _, settings, _ in SECTIONS]
    tables += [KnobSettings, LaneSettings, *(scorer.Settings for scorer in SCORERS)]
    for table in tables:
        for name, field in table.model_fields.items():
            assert field.description or name == "kind", f"{table.__name__}.{name} needs a docstring below it"


def test_the_examples_of_the_columns_are_a_row_of_the_recorded_session() -> None:
    with (ROOT / "results.tsv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    examples = {column.name: column.example for column in DEFINITIONS}
    recorded = rows[examples["id"]]
    assert tuple(recorded) == COLUMNS
    for name, example in examples.items():
        assert recorded[name] in (example, "")


def test_the_examples_of_number_columns_are_numbers_with_a_unit() -> None:
    for column in DEFINITIONS:
        if column.number:
            float(column.example)
            assert column.unit, column.name
