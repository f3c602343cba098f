import sqlite3
import threading
import time
from pathlib import Path

import pytest

from common.errors import BadInput, BudgetSpent
from probes.endpoint.spending import Allowance, SpendingMeter, Usage, spent_on_judging


def allowance(folder: Path, dollars: float | None = 1.0, **more: float) -> Allowance:
    return Allowance(file=folder / "judging.sqlite", session="night", dollars=dollars, **more)


def pay(meter: SpendingMeter, at_most: float, dollars: float) -> None:
    with meter.call(at_most) as taken:
        taken.append(Usage(calls=1, cache_hits=0, prompt_tokens=10, completion_tokens=5, dollars=dollars))


def test_a_call_that_could_pass_the_limit_is_not_made(tmp_path: Path) -> None:
    with SpendingMeter(allowance(tmp_path)) as meter:
        pay(meter, 0.6, 0.5)
        with pytest.raises(BudgetSpent, match=r"judging may cost \$1\.00 in this session and the next call could pass"):
            pay(meter, 0.6, 0.0)
        pay(meter, 0.5, 0.25)
        assert meter.spent == Usage(calls=2, cache_hits=0, prompt_tokens=20, completion_tokens=10, dollars=0.75)
    assert spent_on_judging(tmp_path / "judging.sqlite", "night") == 0.75
    assert spent_on_judging(tmp_path / "judging.sqlite", "another night") == 0


def test_processes_and_sessions_count_together_and_apart(tmp_path: Path) -> None:
    with SpendingMeter(allowance(tmp_path)) as one, SpendingMeter(allowance(tmp_path)) as other:
        pay(one, 0.7, 0.7)
        with pytest.raises(BudgetSpent):
            pay(other, 0.7, 0.0)
    with SpendingMeter(Allowance(file=tmp_path / "judging.sqlite", session="next night", dollars=1.0)) as meter:
        pay(meter, 1.0, 0.1)


def test_what_was_set_aside_and_not_taken_goes_back_also_after_an_error(tmp_path: Path) -> None:
    with SpendingMeter(allowance(tmp_path)) as meter:
        for _ in range(5):
            with pytest.raises(ValueError, match="no reply"), meter.call(1.0):
                raise ValueError("no reply")
    assert spent_on_judging(tmp_path / "judging.sqlite", "night") == 0


def test_what_a_killed_process_had_set_aside_stays_counted(tmp_path: Path) -> None:
    meter = SpendingMeter(allowance(tmp_path))
    in_flight = meter.call(0.4)
    in_flight.__enter__()
    assert spent_on_judging(tmp_path / "judging.sqlite", "night") == pytest.approx(0.4)
    in_flight.__exit__(None, None, None)
    meter.__exit__()


def test_a_call_waits_for_the_change_of_those_in_flight(tmp_path: Path) -> None:
    """Ten calls that cost a tenth of what they could: all fit, if they do not give up too early."""
    with SpendingMeter(allowance(tmp_path)) as meter:

        def call() -> None:
            with meter.call(0.5) as taken:
                time.sleep(0.01)
                taken.append(Usage(calls=1, dollars=0.05))

        threads = [threading.Thread(target=call) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert meter.spent.calls == 10
    assert spent_on_judging(tmp_path / "judging.sqlite", "night") == pytest.approx(0.5)


def test_the_machines_price_shrinks_what_is_left(tmp_path: Path) -> None:
    with SpendingMeter(allowance(tmp_path, dollars_per_hour=1.0, since=time.monotonic() - 1800)) as meter:
        pay(meter, 0.4, 0.1)
        with pytest.raises(BudgetSpent):
            pay(meter, 0.6, 0.0)


def test_without_a_limit_everything_is_counted_and_nothing_refused(tmp_path: Path) -> None:
    with SpendingMeter(allowance(tmp_path, None)) as meter:
        pay(meter, 1e6, 5.0)
    assert spent_on_judging(tmp_path / "judging.sqlite", "night") == 5.0
    with SpendingMeter() as free:
        pay(free, 1e6, 5.0)
        assert free.spent.dollars == 5.0


@pytest.mark.parametrize("damage", ["garbage", "cut", "folder", "changed"])
def test_costs_that_cannot_be_read_are_one_sentence_with_the_way_out(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "judging.sqlite"
    with SpendingMeter(Allowance(file=file, session="s")) as meter, meter.call(0.5) as taken:
        taken.append(Usage(calls=1, dollars=0.25))
    assert spent_on_judging(file, "s") == 0.25
    if damage == "changed":
        with sqlite3.connect(file) as database:
            database.execute("UPDATE spent SET dollars = 0.0")
        database.close()
    elif damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(b"no database" * 900 if damage == "garbage" else file.read_bytes()[:5000])
    with pytest.raises(BadInput, match="counts what judging cost, and cannot be read"):
        spent_on_judging(file, "s")
