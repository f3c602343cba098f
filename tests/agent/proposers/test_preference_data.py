"""Proposer pairs: of one context, of what stands and what was no better, with nothing in it that was decided later."""

import json
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import nightlane
from worlds import runner_of, study_of

from agent.ledger.store import Ledger
from agent.loop.begin_or_resume import Overrides, begin
from agent.proposers import Chain, Situation, Suggestion
from agent.proposers.preference_data import COMPARED, ProposerPair, export_pairs, proposer_pairs
from agent.proposers.prompt import MOVES_HEADING, SYSTEM, briefing
from agent.proposers.reply import chosen_move, read_reply
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from lanes import Recipe, Value
from preferences.export.dataset import FORMATS, Format
from testing import simulated_study
from testing.simulated_runner import EffectWorld
from view.pairs.proposer_card import proposer_card
from view.report.report import write_report
from view.terminal.live import watching

ROOT = Path(__file__).parents[3]
ORDERS = {"hard_first": -1.0, "source_first": 0.5, "long_first": -0.5, "easy_first": 1.0}
WANTED = (
    ("curriculum", "hard_first"),
    ("curriculum", "source_first"),
    ("curriculum", "long_first"),
    ("curriculum", "easy_first"),
)
QUIET = "disguised = 0.0\nholdout_seeds = 0"


def order_counts(recipe: Recipe, split: str) -> float:
    return ORDERS.get(recipe.curriculum, 0.0)


@dataclass
class Wanting:
    """Makes these moves as their turn comes: of a turn's lane, the first that is legal still."""

    moves: Sequence[tuple[str, Value]]
    predicted: float | None = None
    name: str = "wanting"

    def propose(self, situation: Situation) -> Suggestion:
        legal = [(knob, value) for knob, values in situation.moves.items() for value in values]
        knob, value = next((move for move in self.moves if move in legal), legal[0])
        return Suggestion(knob, value, f"because {value} is next", self.predicted, self.name)


def play(study: Study, workspace: Path, wanting: Wanting, effect: Any = order_counts, width: int = 1) -> str:
    with watching() as watcher:
        return begin(
            study,
            Workspace(workspace),
            Overrides(),
            watcher,
            write_report,
            runner=runner_of(study, workspace, EffectWorld(effect, 0.02), width),
            proposers=Chain(None, wanting, 0.0, "proposer: wanting"),
        )


def pairs_of(workspace: Path) -> tuple[ProposerPair, ...]:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        return proposer_pairs(ledger)


def turns(found: Sequence[ProposerPair]) -> list[tuple[int, int, str]]:
    return [(pair.kept.turn, pair.discarded.turn, pair.reason) for pair in found]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Four orders, tried one by one: worse, kept, worse than that, kept."""
    study = study_of(tmp_path, QUIET, "decisions = 4", orders=True)
    play(study, tmp_path, Wanting(WANTED))
    return tmp_path


def rewrite(workspace: Path, statement: str, *values: str) -> None:
    with sqlite3.connect(workspace / "runs" / "ledger.sqlite") as db:
        db.execute("DROP TABLE IF EXISTS row_digests")  # a ledger from before rows had checksums
        assert db.execute(statement, values).rowcount == 1
    db.close()


def test_what_stands_is_paired_with_what_was_no_better_than_the_same_incumbent(workspace: Path) -> None:
    found = pairs_of(workspace)
    assert turns(found) == [(2, 1, "worse"), (4, 3, "worse")]
    assert [pair.context.incumbent.curriculum for pair in found] == ["shuffle", "source_first"]
    for pair in found:
        assert pair.kept.parent == pair.discarded.parent == pair.context.incumbent.digest
        assert pair.kept.lane == pair.discarded.lane == pair.context.lane


def test_both_replies_are_read_and_are_moves_of_their_context(workspace: Path) -> None:
    for pair in pairs_of(workspace):
        columns = pair.columns()
        assert [turn["role"] for turn in columns["prompt"]] == ["system", "user"]
        assert [turn["content"] for turn in columns["prompt"]] == [SYSTEM, briefing(pair.context)]
        for name, proposal in (("chosen", pair.kept), ("rejected", pair.discarded)):
            (turn,) = columns[name]
            read = read_reply(turn["content"])
            assert turn["role"] == "assistant"
            assert chosen_move(read, pair.context.moves) == proposal.after
            assert (read.knob, read.hypothesis) == (proposal.knob, f"because {proposal.after} is next")


def test_a_context_holds_what_was_decided_before_its_incumbent_stood_and_nothing_later(workspace: Path) -> None:
    first, second = (pair.context for pair in pairs_of(workspace))
    assert [tried.after for tried in first.history] == []
    assert [(tried.after, tried.status) for tried in second.history] == [
        ("hard_first", "DISCARD"),
        ("source_first", "KEEP"),
    ]
    assert second.response.moved == {"curriculum"}
    assert "hard_first" not in second.moves["curriculum"], "it did harm"
    for pair in pairs_of(workspace):
        _, shown = pair.columns()["prompt"]
        parts = (shown["content"].partition(f"{heading}\n")[2] for heading in (MOVES_HEADING, "# History"))
        moves, history = (part.partition("\n# ")[0] for part in parts)
        for proposal in (pair.kept, pair.discarded):
            assert str(proposal.after) in moves
            assert str(proposal.after) not in history
            assert proposal.hypothesis not in shown["content"]


def test_the_budget_is_what_was_left_then(workspace: Path) -> None:
    assert [pair.context.budget_left for pair in pairs_of(workspace)] == [
        "4 of 4 decisions, 8.00 of 8 hours",
        "2 of 4 decisions, 8.00 of 8 hours",
    ]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *(("DISCARD", name) for name in ("overtaken", "calibration", "false_alarm")),
        ("CRASH", "crash:diverged"),
    ],
)
def test_what_had_no_turn_what_is_the_incumbent_and_what_crashed_is_no_rejected_side(
    workspace: Path, status: str, reason: str
) -> None:
    session = pairs_of(workspace)[0].kept.session
    rewrite(workspace, "UPDATE decisions SET status = ?, reason = ? WHERE id = ?", status, reason, f"{session}-001")
    assert [pair.kept.turn for pair in pairs_of(workspace)] == [4]


@pytest.mark.parametrize("reason", [*COMPARED, "guard:arithmetic", "cumulative:arithmetic"])
def test_every_reason_of_a_move_that_had_its_turn_makes_a_pair(workspace: Path, reason: str) -> None:
    session = pairs_of(workspace)[0].kept.session
    rewrite(workspace, "UPDATE decisions SET reason = ? WHERE id = ?", reason, f"{session}-001")
    assert turns(pairs_of(workspace))[0] == (2, 1, reason)


@pytest.mark.parametrize("turn", ["003", "004"])
def test_a_proposal_without_a_decision_makes_none(workspace: Path, turn: str) -> None:
    session = pairs_of(workspace)[0].kept.session
    rewrite(workspace, "DELETE FROM decisions WHERE id = ?", f"{session}-{turn}")
    assert [pair.kept.turn for pair in pairs_of(workspace)] == [2]


def test_a_keep_that_was_retracted_makes_none(tmp_path: Path) -> None:
    def only_on_probe_prompts(recipe: Recipe, split: str) -> float:
        return order_counts(recipe, split) if split == "probe" else -order_counts(recipe, split)

    study = study_of(tmp_path, "disguised = 0.0", "decisions = 2", orders=True)
    play(study, tmp_path, Wanting(WANTED), only_on_probe_prompts)
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        statuses = [row.status for row in ledger.decisions("WHERE turn != 0")]
        assert statuses == ["DISCARD", "KEEP", "RETRACT"]
        assert proposer_pairs(ledger) == ()
    with pytest.raises(BadInput, match="gives no proposer pair, which takes a KEEP that was not retracted"):
        export_pairs(tmp_path / "runs" / "ledger.sqlite", "jsonl", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_proposals_of_two_lanes_share_no_context_and_make_none(tmp_path: Path) -> None:
    """Each lane has a move that is kept or a move that harms, never both."""

    def rate_harms(recipe: Recipe, split: str) -> float:
        return order_counts(recipe, split) - 1.0 * (recipe.learning_rate != 1e-4)

    study = study_of(tmp_path, QUIET, "decisions = 4")
    wanted = Wanting([("learning_rate", 2e-4), ("learning_rate", 5e-5), ("curriculum", "easy_first")])
    play(study, tmp_path, wanted, rate_harms)
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        decided = {row.row["lane"]: row for row in ledger.decisions("WHERE turn > 0")}
        assert decided["curriculum"].status == "KEEP"
        worse = {row.row["lane"] for row in ledger.decisions("WHERE reason = 'worse'")}
        assert "hyperparameters" in worse
        assert "curriculum" not in worse
        assert proposer_pairs(ledger) == ()


def test_a_move_that_the_context_does_not_list_makes_none(tmp_path: Path) -> None:
    """On a plateau the search reached further than it did when the incumbent came to stand."""

    def only_beta_helps(recipe: Recipe, split: str) -> float:
        return 1.0 * (recipe.beta > 0.1) - 1.0 * (recipe.learning_rate != 1e-4)

    study = study_of(tmp_path, f"{QUIET}\nplateau = 2", "decisions = 4")
    text = study.text.replace("[lanes.mixture]\n[lanes.curriculum]\n", "")
    study.path.write_text(text, encoding="utf-8")
    rates = [("learning_rate", 2e-4), ("learning_rate", 4e-4), ("learning_rate", 6.4e-3)]
    play(load_study(study.path), tmp_path, Wanting([*rates, ("beta", 0.11)]), only_beta_helps)
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        tried = [(row.knob, row.after) for row in ledger.proposals()]
        assert tried == [*rates, ("beta", 0.11)]
        assert [row.reason for row in ledger.decisions("WHERE turn > 0")] == ["worse", "worse", "worse", "improved"]
    assert turns(pairs_of(tmp_path)) == [(4, 1, "worse"), (4, 2, "worse")]


def test_candidates_of_one_round_share_the_context_before_it(tmp_path: Path) -> None:
    study = study_of(tmp_path, f"{QUIET}\nround = 3", "decisions = 3", orders=True)
    play(study, tmp_path, Wanting(WANTED), width=3)
    found = pairs_of(tmp_path)
    assert turns(found) == [(2, 1, "worse"), (2, 3, "worse")]
    assert [pair.context.history for pair in found] == [[], []]
    assert found[0].columns()["prompt"] == found[1].columns()["prompt"]


def test_a_later_session_has_pairs_of_its_own_with_the_first_in_its_history(workspace: Path) -> None:
    before = [pair.columns() for pair in pairs_of(workspace)]
    later = {**ORDERS, "source_last": -1.0, "short_first": 3.0}
    play(
        load_study(workspace / "study" / "study.toml"),
        workspace,
        Wanting([("curriculum", "source_last"), ("curriculum", "short_first")]),
        lambda recipe, split: later.get(recipe.curriculum, 0.0),
    )
    found = pairs_of(workspace)
    assert [pair.columns() for pair in found[:2]] == before
    assert turns(found[2:]) == [(2, 1, "worse")]
    assert [tried.after for tried in found[2].context.history] == [value for _, value in WANTED]


def test_a_study_with_another_question_has_pairs_that_know_nothing_of_the_first(workspace: Path) -> None:
    before = [pair.columns() for pair in pairs_of(workspace)]
    path = workspace / "study" / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("arithmetic = 1.5", "arithmetic = 2.5"), encoding="utf-8")
    play(load_study(path), workspace, Wanting(WANTED))
    found = pairs_of(workspace)
    assert [pair.columns() for pair in found[:2]] == before
    assert turns(found[2:]) == [(2, 1, "worse"), (4, 3, "worse")]
    for old, new in zip(found[:2], found[2:], strict=True):
        assert [one.after for one in new.context.history] == [one.after for one in old.context.history]
        assert "arithmetic may lose at most 2.5" in briefing(new.context)
        assert "arithmetic may lose at most 1.5" in briefing(old.context)


@pytest.mark.parametrize("predicted", [0.25, 42.0])
def test_a_prediction_is_the_proposers_own_within_the_schemas_bounds(tmp_path: Path, predicted: float) -> None:
    study = study_of(tmp_path, QUIET, "decisions = 2", orders=True)
    play(study, tmp_path, Wanting(WANTED, predicted))
    ((chosen,), (rejected,)) = (pairs_of(tmp_path)[0].columns()[name] for name in ("chosen", "rejected"))
    told = [read_reply(turn["content"]).predicted_delta for turn in (chosen, rejected)]
    assert told == [min(predicted, 10.0)] * 2


def test_where_nothing_was_predicted_stands_what_the_context_expects_and_not_what_was_measured(
    workspace: Path,
) -> None:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        measured = {row.id: row.row["delta"] for row in ledger.decisions("WHERE turn > 0")}
    first, second = pairs_of(workspace)
    for pair in (first, second):
        moves, mean, _ = pair.context.expected()
        expected = {move: round(float(delta), 3) for move, delta in zip(moves, mean, strict=True)}
        for proposal, name in ((pair.kept, "chosen"), (pair.discarded, "rejected")):
            (turn,) = pair.columns()[name]
            told = read_reply(turn["content"]).predicted_delta
            assert told == expected[proposal.knob, proposal.after]
            assert abs(told - measured[proposal.id]) > 0.1
    assert read_reply(first.columns()["chosen"][0]["content"]).predicted_delta == 0.0, "nothing was seen yet"


def test_no_prompt_no_answer_no_path_and_no_instructions_are_in_a_context(tmp_path: Path) -> None:
    study = study_of(tmp_path, QUIET, "decisions = 4", orders=True)
    text = study.text.replace("[runner]", '[proposer]\nprogram = "program.md"\n[runner]')
    study.path.write_text(text, encoding="utf-8")
    (study.path.parent / "program.md").write_text("Keep it between us.", encoding="utf-8")
    play(load_study(study.path), tmp_path, Wanting(WANTED))
    (study.path.parent / "program.md").unlink()
    done = export_pairs(tmp_path / "runs" / "ledger.sqlite", "jsonl", tmp_path / "out")
    written = done.file.read_text(encoding="utf-8")
    assert len(done.pairs) == 2
    asked = [row["prompt"].strip() for row in simulated_study.prompts()]
    for hidden in ("between us", str(tmp_path), "study.toml", "program.md", ".jsonl", *asked):
        assert hidden not in written


@pytest.mark.parametrize("form", FORMATS)
def test_two_exports_are_the_same_bytes_and_load_with_trls_columns(workspace: Path, form: Format) -> None:
    from datasets import disable_progress_bars, load_dataset
    from trl.data_utils import is_conversational

    files = []
    for name in ("one", "two"):
        done = export_pairs(
            workspace / "runs" / "ledger.sqlite", form, workspace / name, lambda done: proposer_card(done, "cc0-1.0")
        )
        files.append(done.file.read_bytes())
    assert files[0] == files[1]
    disable_progress_bars()
    rows = load_dataset(str(workspace / "one"), split="train", cache_dir=str(workspace / "c")).to_list()
    assert rows == [pair.columns() for pair in pairs_of(workspace)]
    assert {tuple(row) for row in rows} == {("prompt", "chosen", "rejected")}
    assert all(is_conversational(row) for row in rows)


def test_the_card_says_what_a_row_is_and_where_it_is_from(workspace: Path) -> None:
    done = export_pairs(workspace / "runs" / "ledger.sqlite", "jsonl", workspace / "out")
    card = proposer_card(done, "cc0-1.0")
    session = done.pairs[0].kept.session
    for part in (
        "2 rows with the columns `prompt`, `chosen`, `rejected`",
        "tags: [trl, nightlane, proposer]",
        "nothing in it was decided later",
        "never what was measured of it",
        f"- sessions: `{session}`",
        f"`{session}-002`, `{session}-004`",
        "| chosen   | `wanting` | expected by comparisons |    2 |",
        "| `curriculum` | `worse`     |    2 |",
        "## Licence\n\ncc0-1.0. ",
    ):
        assert part in card


def command(workspace: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return nightlane("pairs", "export", *arguments, "--kind", "proposer", "--workspace", workspace)


def test_the_command_writes_the_data_and_its_card(workspace: Path) -> None:
    done = command(workspace, workspace / "out", "--format", "parquet", "--license", "cc0-1.0", "--json")
    assert done.returncode == 0, done.stderr
    told, session = json.loads(done.stdout), pairs_of(workspace)[0].kept.session
    assert told == {
        "kind": "proposer",
        "file": str(workspace / "out" / "train.parquet"),
        "card": str(workspace / "out" / "README.md"),
        "rows": 2,
        "decisions": [
            {"chosen": f"{session}-002", "rejected": f"{session}-001"},
            {"chosen": f"{session}-004", "rejected": f"{session}-003"},
        ],
    }
    assert 'license: "cc0-1.0"' in (workspace / "out" / "README.md").read_text(encoding="utf-8")


def test_what_the_command_cannot_do_is_refused_in_a_sentence(workspace: Path, tmp_path: Path) -> None:
    for where, arguments, said in (
        (tmp_path / "nowhere", (), "there is no session here; start one with nightlane run STUDY"),
        (workspace, ("--downvoted",), "--downvoted and --study are for stores; leave them out"),
        (workspace, ("--format", "csv"), "--format 'csv' is not known"),
    ):
        done = command(where, tmp_path / "out", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
