"""Common formats of rows, imported as files."""

import pytest
from row_cases import BAD, CASES, GOOD, ONLY_SOURCES, TOOLS
from some_rows import TIME, prompts

from common.errors import BadInput
from preferences.collection.import_rows import Defaults, read_rows
from probes.inputs.files.records import at
from probes.inputs.training_rows import ReservedPrompts

DEFAULTS = Defaults("imported", "a file", "human", "reference")


@pytest.mark.parametrize("name", sorted({*GOOD, *BAD} - ONLY_SOURCES))
def test_pairs_import_reads_the_same_rows_and_refuses_with_the_same_words(name: str) -> None:
    told: list[str]
    try:
        found = read_rows(CASES / name, "preference", DEFAULTS, TIME, reserved=ReservedPrompts(prompts()), plain=None)
    except BadInput as error:
        found, told = None, [str(error)]
    else:
        assert found is not None
        told = [at(f"line {row.line}", row.why) for row in found.bad]
    if name in TOOLS:
        assert any("tools, which the stores do not keep" in one for one in told)
    elif name in GOOD:
        assert found is not None
        assert (found.rows[0].prompt, *found.rows[0].texts) == GOOD[name]
        assert bool(told) == (name == "mixed_forms.jsonl")
    else:
        assert any(BAD[name] in one for one in told)
