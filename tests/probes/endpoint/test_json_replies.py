"""What repairing JSON may cost."""

import time

import pytest

from probes.endpoint.json_replies import LONGEST_REPAIRED, repaired_json


def test_broken_json_is_repaired() -> None:
    assert repaired_json('{"a": 1, "b": [2, 3') == {"a": 1, "b": [2, 3]}


@pytest.mark.parametrize("part", ["{", "[", "{,", '{"a":[', '"'])
def test_a_hostile_reply_costs_seconds_at_most(part: str) -> None:
    began = time.process_time()
    assert repaired_json(part * (64_000 // len(part))) is None
    repaired_json((part * LONGEST_REPAIRED)[:LONGEST_REPAIRED])
    assert time.process_time() - began < 10
