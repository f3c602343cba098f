"""The commands on the stores of pairs."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.commands.material import (
    ROWS,
    VOTER,
    ids,
    import_pairs,
    run_night,
    stores,
    write_pairs,
    write_stores,
    write_study_with_rules,
)
from bench.faults.scenarios.commands.recovery import files, repeat_in_empty_folder, require_success
from bench.faults.scenarios.observe import rows_of
from bench.faults.scenarios.scenario import Command, Run, Scenario, nightlane, repeat
from testing.simulated_study import write_jsonl


def _write_votes(root: Path, run: Run) -> None:
    write_stores(root, run)
    votes = [{"id": name, "vote": ("up", "down", "flip")[number % 3]} for number, name in enumerate(ids(root))]
    write_jsonl(root / "votes.jsonl", votes)


def _import_votes(root: Path) -> Command:
    return nightlane("pairs", "import", root / "votes.jsonl", "--kind", "votes", *VOTER, "--workspace", root)


def _vote(root: Path) -> Command:
    return nightlane("pairs", "vote", ids(root)[0], "up", *VOTER, "--workspace", root)


def _review(root: Path) -> Command:
    return nightlane("pairs", "review", "--kind", "dpo", "--rows", ROWS, *VOTER, "--workspace", root)


def _review_rest(root: Path, run: Run) -> Sequence[ProcessResult]:
    """Review the rows that have no vote yet; the command shows them first."""
    path = root / "runs" / "rl_data" / "reviews.jsonl"
    reviewed = sum(not line.startswith("no JSON") for line in rows_of(path))
    return [run(_review(root), stdin="good\n" * (ROWS - reviewed) + "quit\n")]


def _write_unscored(root: Path, run: Run) -> None:
    """A store with pairs that came without scores."""
    write_pairs(root, run)
    write_study_with_rules(root, run)
    rows = [json.loads(line) for line in (root / "pairs.jsonl").read_text("utf-8").splitlines()]
    write_jsonl(root / "pairs.jsonl", [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in rows])
    options = ("--kind", "preference", "--study", root / "study" / "study.toml", *VOTER)
    require_success(run(nightlane("pairs", "import", root / "pairs.jsonl", *options, "--workspace", root)))


def _score(root: Path) -> Command:
    study = root / "study" / "study.toml"
    return nightlane("pairs", "score", "--study", study, "--category", "lists", "--workspace", root)


def _certify(root: Path) -> Command:
    return nightlane("pairs", "certify", "--text", "--workspace", root)


def export_as(form: str) -> Callable[[Path], Command]:
    return lambda root: nightlane(
        "pairs", "export", root / "out", "--kind", "dpo", "--format", form, "--workspace", root
    )


def _export_proposals(root: Path) -> Command:
    return nightlane("pairs", "export", root / "out", "--kind", "proposer", "--workspace", root)


PAIRS = (
    Scenario("pairs import", write_pairs, import_pairs, repeat(import_pairs), stores, weight=8),
    Scenario("pairs import of votes", _write_votes, _import_votes, repeat(_import_votes), stores, weight=5),
    Scenario("pairs vote", write_stores, _vote, repeat(_vote), stores, weight=5),
    Scenario("pairs review", write_stores, _review, _review_rest, stores, stdin="good\n" * ROWS, weight=5),
    Scenario("pairs score", _write_unscored, _score, repeat(_score), stores, weight=4),
    Scenario("pairs certify", write_stores, _certify, repeat(_certify), stores, weight=2),
    Scenario(
        "pairs export as parquet",
        write_stores,
        export_as("parquet"),
        repeat_in_empty_folder(export_as("parquet")),
        files("out"),
        weight=5,
    ),
    Scenario(
        "pairs export of proposals",
        run_night,
        _export_proposals,
        repeat_in_empty_folder(_export_proposals),
        files("out"),
        weight=5,
    ),
)
