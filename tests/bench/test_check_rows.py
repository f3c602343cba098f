"""The benchmark of checking rows, on a few rows."""

from pathlib import Path

import tokenizers_of_all_kinds

from bench.speed.check_rows import RowCheckTimes, run_ours, run_trl, table, write_rows


def test_both_sides_prepare_all_rows(tmp_path: Path) -> None:
    tokenizers_of_all_kinds.save("ChatML base", tmp_path / "model")
    rows = write_rows(tmp_path / "rows.jsonl", 12)
    ours, trl = run_ours(tmp_path / "model", rows), run_trl(tmp_path / "model", rows)
    assert ours.rows == trl.rows == 12
    assert min(ours.seconds, trl.seconds) > 0
    assert f"{ours.ms_each / trl.ms_each:.2f} times TRL's" in table(RowCheckTimes(ours, trl, 2, (0.5, 1.0)))
