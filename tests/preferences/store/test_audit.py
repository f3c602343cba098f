"""Audits: every figure against one worked out by hand, and what is refused and what is warned of."""

from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from scipy.stats import spearmanr
from some_rows import ASKED, TIME, pair, prompts, reward, side, stores

from preferences.store.annotations import AnnotatedRow, Vote
from preferences.store.audit import Audit, audit, duplicates, length_bias, quartiles
from preferences.store.provenance import Provenance
from preferences.store.rows import Row
from probes.inputs.duplicates import Wordings
from probes.inputs.training_rows import ReservedPrompts
from view.pairs.audit import audit_data, audit_markdown

RESERVED = ReservedPrompts(prompts())


def found(*rows: Row, **changes: Any) -> list[AnnotatedRow]:
    return [AnnotatedRow(row, **changes) for row in rows]


def sized(chosen: int, rejected: int, number: int = 0, **changes: Any) -> Row:
    return pair(number, "preference", texts=("c" * chosen, "r" * rejected), **changes)


def of(*rows: Row) -> Audit:
    return audit(rows[0].kind, found(*rows), RESERVED)


def test_counts_are_of_the_rows_in_use(tmp_path: Path) -> None:
    held = stores(tmp_path)
    held.add([pair(number, category="even" if number % 2 == 0 else "odd") for number in range(6)])
    held.vote(
        [Vote(pair(0).id, "drop", "a", TIME), Vote(pair(2).id, "down", "a", TIME), Vote(pair(4).id, "flip", "a", TIME)]
    )
    held.withdraw("the KEEP was retracted", TIME, row=pair(1).id)
    one = audit("dpo", held.read("dpo"), RESERVED)
    assert (one.rows, one.used, one.exported, one.dropped, one.flipped, one.downvoted) == (6, 4, 3, 1, 1, 1)
    assert one.withdrawn == {"the KEEP was retracted": 1}
    assert one.categories == {"even": 2, "odd": 2}
    assert one.sources == {"harvest": 4}
    assert one.reversed_margins == 1
    assert one.margins is not None
    assert one.margins.least == pytest.approx(-3.6)
    assert not one.reviewed


def test_quartiles_of_few_numbers() -> None:
    assert quartiles([]) is None
    one = quartiles([2.0])
    assert one is not None
    assert (one.n, one.least, one.median, one.most) == (1, 2, 2, 2)
    five = quartiles([1, 2, 3, 4, 100])
    assert five is not None
    assert (five.first, five.median, five.third) == (2, 3, 4)


def test_the_longer_side_is_counted_with_wilsons_interval() -> None:
    """8 of 10: 0.49 to 0.943 (Wilson 1927, by hand: (p + z2/2n -+ z sqrt(p q / n + z2/4n2)) / (1 + z2/n))."""
    bias = length_bias(found(*(sized(9, 3, n) for n in range(8)), sized(3, 9, 8), sized(3, 9, 9), sized(4, 4, 10)))
    assert (bias.pairs, bias.longer, bias.equal, bias.share) == (10, 8, 1, 0.8)
    z, p, n = 1.959964, 0.8, 10
    half = z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert bias.low == pytest.approx((p + z * z / (2 * n) - half) / (1 + z * z / n), abs=1e-6)
    assert bias.high == pytest.approx((p + z * z / (2 * n) + half) / (1 + z * z / n), abs=1e-6)
    assert not bias.unfair


def test_length_that_decides_is_warned_of_whichever_way() -> None:
    assert "length" in of(*(sized(9, 3, n) for n in range(12))).warnings
    assert "length" in of(*(sized(3, 9, n) for n in range(12))).warnings
    assert "length" not in of(*(sized(*((9, 3) if n % 2 else (3, 9)), n) for n in range(12))).warnings
    assert "length" not in of(*(sized(9, 3, n) for n in range(3))).warnings


def test_length_and_margin_are_correlated_by_rank_where_both_differ() -> None:
    rows = [sized(10 + n, 10, n, scores=(5 + (n * 7 % 5), 4.0)) for n in range(8)]
    bias = length_bias(found(*rows))
    wanted = spearmanr([n for n in range(8)], [1 + (n * 7 % 5) for n in range(8)]).statistic
    assert bias.correlation == pytest.approx(float(wanted))
    assert length_bias(found(*(sized(9, 3, n, scores=(8.0, 4.0)) for n in range(8)))).correlation is None
    assert length_bias(found(*(sized(9, 3, n, scores=(None, 4.0)) for n in range(8)))).scored == 0


LONG = """def running(items):
    # The sum of all items so far, from the first to the last, and the items.
    total = 0
    for item in items:
        total = total + item
    return [total, items]
"""


def test_duplicates_are_found_exactly_and_nearly_and_once_each() -> None:
    other = LONG.replace("total, items", "items, total")
    rows = [
        pair(0, texts=(LONG, "return None")),
        pair(0, texts=(f"\n{LONG}", "return None")),
        pair(0, texts=(other, "return None")),
        pair(5),
    ]
    same, near = duplicates(found(*rows))
    assert (same.row, same.other, same.same) == (rows[1].id, rows[0].id, True)
    assert {near.row, near.other} == {rows[0].id, rows[2].id}
    assert 0.72 <= near.similarity < 1
    assert not near.same
    assert "duplicates" in of(*rows).warnings
    assert "duplicates" not in of(rows[0], rows[2]).warnings
    assert duplicates(found(pair(0), pair(1))) == ()


def test_pairs_that_share_a_chosen_side_alone_are_no_duplicates() -> None:
    rows = [pair(0, texts=(LONG, wrong)) for wrong in ("return None", LONG.replace("items", "things"))]
    assert duplicates(found(*rows)) == ()


def test_pairs_that_contradict_each_other_are_counted() -> None:
    rows = [pair(0), pair(0, kind="preference", texts=pair(0).texts[::-1], scores=(None, None)), pair(1)]
    one = audit("preference", found(*rows), RESERVED)
    assert one.contradictions == 2
    assert "2 pairs preferring what another pair rejects" in audit_markdown([one], "rl_data")
    assert of(pair(0), pair(1)).contradictions == 0


def test_repeats_name_an_earlier_item_and_never_the_item_itself() -> None:
    words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    texts = [words, "something else", words.upper(), words.replace("sixteen", "last"), f"now {words} then"]
    repeats = Wordings((text, place) for place, text in enumerate(texts)).repeats()
    assert [(item, other) for item, other, _ in repeats] == [(2, 0), (3, 0), (4, 0)]


def test_sides_of_different_pipelines_are_counted_by_what_differs() -> None:
    def of_sides(number: int, chosen: Any, rejected: Any) -> Row:
        return pair(number, provenance=Provenance((chosen, rejected)))

    rows = [
        of_sides(0, side(bar="full gate"), side(bar="full gate")),
        of_sides(1, side(bar="full gate"), side()),
        of_sides(2, side(bar="full gate"), side()),
        of_sides(3, side("human"), side("mechanical")),
    ]
    one = of(*rows)
    assert one.same_pipeline == 1
    assert [(m.chosen, m.rejected, m.rows) for m in one.mismatches] == [
        (("sampled", "full gate"), ("sampled", ""), 2),
        (("human", ""), ("mechanical", ""), 1),
    ]
    assert one.synthetic == 1
    assert {"bars", "origins"} <= set(one.warnings)
    text = audit_markdown([one], "rl_data")
    assert "different quality bars: 2 with `full gate` against none" in text
    assert "Mechanically made rejected sides: 1 of 4 (25%)" in text


def test_mostly_mechanical_rejects_are_warned_of() -> None:
    rows = [pair(n, provenance=Provenance((side(), side("mechanical" if n else "sampled")))) for n in range(3)]
    assert "synthetic" in of(*rows).warnings


def test_contamination_is_refused_in_the_text_and_names_the_rows() -> None:
    rows = [pair(0), pair(1, prompt=f"Please: {ASKED}"), pair(2, prompt=ASKED.replace("numbers", "figures"))]
    one = of(*rows)
    assert [(hit.row, hit.prompt, hit.split) for hit in one.contaminated] == [
        (rows[1].id, "probe-1", "probe"),
        (rows[2].id, "probe-1", "probe"),
    ]
    assert one.contaminated[0].similarity == 1.0 > one.contaminated[1].similarity
    assert "**Refused:** 2 rows" in audit_markdown([one], "rl_data")
    assert rows[1].id in audit_markdown([one], "rl_data")


def test_a_store_of_rewards_has_scores_and_no_sides() -> None:
    one = of(reward(1), reward(2))
    assert one.scores is not None
    assert (one.scores.n, one.margins, one.length, one.mismatches) == (2, None, None, ())
    assert "| score  |" in audit_markdown([one], "rl_data")


def test_texts_that_nobody_vouches_for_break_no_table_and_no_line_of_one_is_wide() -> None:
    rows = [pair(n, "preference", category=f"a|b `{n}`\n<script>" + "x" * 90, source="源" * 80) for n in range(15)]
    text = audit_markdown([of(*rows)], "rl_data")
    assert "5 more" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert cell_len(line) <= 100, line


def test_an_empty_and_an_all_dropped_store_are_said_in_a_line() -> None:
    assert "holds no rows yet" in audit_markdown([], "rl_data")
    one = audit("dpo", found(pair(0), dropped=True), RESERVED)
    assert "No row is in use." in audit_markdown([one], "rl_data")
    assert one.warnings == ()


def test_the_figures_are_plain_json_values() -> None:
    import json

    data = json.loads(json.dumps(audit_data([of(pair(0), pair(1, prompt=ASKED))])))
    assert data[0]["contaminated"][0]["prompt"] == "probe-1"
    assert data[0]["length"]["pairs"] == 0
    assert data[0]["warnings"] == ["unseen"]
