"""Proposer pairs: of one context, of what stands and what is worth less, with nothing in it that was decided later."""

import json
import math
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ledger_rows
import nights
import pytest
from commands import nightlane
from worlds import runner_of

from agent.ledger.store import Ledger
from agent.ledger.tables import RETRACTION, DecisionRow
from agent.loop.start_or_resume.session import Overrides, begin
from agent.proposers import Chain, Situation, Suggestion
from agent.proposers.preference_data import COMPARED, ProposerPair, export_pairs, proposer_pairs, reply
from agent.proposers.prompt import MOVES_HEADING, SYSTEM, briefing
from agent.proposers.reply import chosen_move, read_reply
from agent.proposers.tpe import TpeProposer
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from common.errors import BadInput
from lanes import Recipe, Value
from preferences.export.dataset import FORMATS, Format
from testing import simulated_study
from testing.simulated_runner import EffectWorld
from view.pairs.dataset_card import proposer_card
from view.report.report import write_report
from view.terminal.live import watching

ROOT = Path(__file__).parents[3]
RATES = "[lanes.hyperparameters]\nlearning_rate = { low = 1e-5, high = 1e-2, factor = 10.0, reach = 1 }\n"
BETAS = "beta = { low = 0.05, high = 0.5, step = 0.05, reach = 2 }\n"
WANTED: Sequence[tuple[str, Value]] = (
    ("learning_rate", 1e-3),
    ("learning_rate", 1e-5),
    ("beta", 0.15),
    ("beta", 0.05),
    ("learning_rate", 1e-2),
)


def both_help(recipe: Recipe, split: str) -> float:
    """A larger learning rate is worth a point, a beta of 0.15 half of one, and any other beta harms."""
    return math.log10(recipe.learning_rate / 1e-4) + {0.1: 0.0, 0.15: 0.5, 0.05: -1.0}.get(recipe.beta, -0.6)


@dataclass
class Wanting:
    """Makes these moves as its turns come: of a turn's lane, the first that is legal still."""

    moves: Sequence[tuple[str, Value]] = WANTED
    predicted: float | None = None
    name: str = "wanting"

    def propose(self, situation: Situation) -> Suggestion:
        legal = [(knob, value) for knob, values in situation.moves.items() for value in values]
        knob, value = next((move for move in self.moves if move in legal), legal[0])
        return Suggestion(knob, value, f"because {value} is next", self.predicted, self.name)


def study_with(folder: Path, lanes: str = RATES + BETAS) -> Study:
    """A night of 24 probes: two waves and one stack."""
    text = simulated_study.STUDY.replace("decisions = 8", "probes = 24")
    text = text[: text.index("[lanes.hyperparameters]")] + lanes + text[text.index("[policy]") :]
    return load_study(simulated_study.write_study(folder / "study", text))


def play(study: Study, workspace: Path, wanting: Wanting, effect: Any = both_help) -> str:
    with watching() as watcher:
        return begin(
            study,
            Workspace(workspace),
            Overrides(),
            watcher,
            write_report,
            runner=runner_of(study, workspace, EffectWorld(effect, 0.02)),
            proposers=Chain(wanting, TpeProposer(), 1.0, "proposer: wanting"),
        )


def pairs_of(workspace: Path) -> tuple[ProposerPair, ...]:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        return proposer_pairs(ledger)


def turns(found: Sequence[ProposerPair]) -> list[tuple[int, int, str]]:
    return [(pair.kept.turn, pair.discarded.turn, pair.reason) for pair in found]


def decisions_of(workspace: Path) -> list[DecisionRow]:
    with Ledger(workspace / "runs" / "ledger.sqlite", read_only=True) as ledger:
        return ledger.decisions("WHERE turn > 0")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night that keeps a stack of turns 1 and 3, and discards turns 2, 4 and 5 as worse."""
    folder = tmp_path_factory.mktemp("played")
    play(study_with(folder), folder, Wanting())
    return folder


@pytest.fixture
def workspace(played: Path, tmp_path: Path) -> Path:
    shutil.copytree(played, tmp_path, dirs_exist_ok=True)
    return tmp_path


def rewrite(workspace: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(workspace / "runs" / "ledger.sqlite") as db:
        db.execute("DROP TABLE IF EXISTS row_digests")  # a ledger from before rows had checksums
        assert db.execute(statement, values).rowcount == 1
    db.close()


def named(workspace: Path, turn: int) -> str:
    return f"{pairs_of(workspace)[0].kept.session}-{turn:03d}"


# what makes a pair


def test_each_change_of_a_kept_stack_is_paired_with_what_lost_against_the_same_incumbent(workspace: Path) -> None:
    found, decided = pairs_of(workspace), decisions_of(workspace)
    assert turns(found) == [(kept, lost, "worse") for kept in (1, 3) for lost in (2, 4, 5)]
    assert len({row.incumbent for row in decided if row.status == "KEEP"}) == 1
    own = {row.id: row.row["delta"] for row in decided}
    for pair in found:
        assert pair.kept.parent == pair.discarded.parent == pair.context.incumbent.digest
        assert pair.kept.lane == pair.discarded.lane == pair.context.lane
        assert own[pair.kept.id] > own[pair.discarded.id]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *(("DISCARD", name) for name in ("overtaken", "budget", "calibration", "false_alarm")),
        ("CRASH", "crash:diverged"),
    ],
)
def test_what_was_not_compared_what_is_the_incumbent_and_what_crashed_is_no_rejected_side(
    workspace: Path, status: str, reason: str
) -> None:
    rewrite(workspace, "UPDATE decisions SET status = ?, reason = ? WHERE id = ?", status, reason, named(workspace, 2))
    assert turns(pairs_of(workspace)) == [(kept, lost, "worse") for kept in (1, 3) for lost in (4, 5)]


@pytest.mark.parametrize("reason", [*COMPARED, "guard:arithmetic", "cumulative:arithmetic"])
def test_every_reason_of_a_change_that_was_compared_makes_a_pair(workspace: Path, reason: str) -> None:
    rewrite(workspace, "UPDATE decisions SET reason = ? WHERE id = ?", reason, named(workspace, 2))
    assert turns(pairs_of(workspace))[0] == (1, 2, reason)


SET_DELTA = "UPDATE decisions SET row = json_set(row, '$.delta', ?) WHERE id = ?"


def test_a_weak_change_of_a_kept_stack_is_not_preferred_to_one_that_is_worth_more(workspace: Path) -> None:
    rewrite(workspace, SET_DELTA, 0.7, named(workspace, 2))
    found = [(1, 2), (1, 4), (1, 5), (3, 4), (3, 5)]
    assert turns(pairs_of(workspace)) == [(kept, lost, "worse") for kept, lost in found]


@pytest.mark.parametrize(("members", "pairs"), [(None, 2), (["own"], 2), (["own", "another"], 0)])
def test_a_change_that_broke_a_guard_loses_whatever_it_is_worth_unless_others_were_confirmed_with_it(
    workspace: Path, members: list[str] | None, pairs: int
) -> None:
    kept = next(row for row in decisions_of(workspace) if row.status == "KEEP")
    assert kept.basis is not None
    name = named(workspace, 2)
    rewrite(workspace, SET_DELTA, 3.0, name)
    rewrite(workspace, "UPDATE decisions SET reason = 'guard:arithmetic' WHERE id = ?", name)
    if members:
        stack = "json_set((SELECT course FROM decisions WHERE id = ?), '$.stack.members', json(?))"
        rewrite(workspace, f"UPDATE decisions SET course = {stack} WHERE id = ?", kept.id, json.dumps(members), name)
    assert [pair.reason for pair in pairs_of(workspace)].count("guard:arithmetic") == pairs


def test_of_a_change_that_was_proposed_twice_the_last_decision_counts(workspace: Path) -> None:
    again = "UPDATE proposals SET knob = ?, after = ? WHERE id = ?"
    first, third, fifth = (named(workspace, turn) for turn in (2, 4, 5))
    rewrite(workspace, again, "beta", "0.05", fifth)  # as turn 4, so turn 5 speaks for both
    assert turns(pairs_of(workspace)) == [(kept, lost, "worse") for kept in (1, 3) for lost in (2, 5)]
    rewrite(workspace, again, "beta", "0.15", first)  # as turn 3, which was kept
    assert turns(pairs_of(workspace)) == [(1, 5, "worse"), (3, 5, "worse")]
    rewrite(workspace, "UPDATE decisions SET reason = 'overtaken' WHERE id = ?", fifth)
    rewrite(workspace, "UPDATE decisions SET reason = 'unconfirmed' WHERE id = ?", third)
    assert pairs_of(workspace) == ()


@pytest.mark.parametrize("turn", [1, 2])
def test_a_proposal_without_a_decision_makes_none(workspace: Path, turn: int) -> None:
    rewrite(workspace, "DELETE FROM decisions WHERE id = ?", named(workspace, turn))
    found = turns(pairs_of(workspace))
    assert found
    assert not any(turn in pair for pair in found)


def test_a_keep_that_was_retracted_makes_none(workspace: Path, tmp_path: Path) -> None:
    path = workspace / "runs" / "ledger.sqlite"
    for kept, left in zip([row for row in decisions_of(workspace) if row.status == "KEEP"], (3, 0), strict=True):
        retraction = replace(kept, id=kept.id + RETRACTION, turn=-kept.turn, status="RETRACT", basis=None)
        with Ledger(path) as ledger:
            ledger.record_decisions([(retraction, "taken back")])
        assert len(pairs_of(workspace)) == left
    with pytest.raises(BadInput, match="gives no proposer pair, which takes a KEEP that was not retracted"):
        export_pairs(path, "jsonl", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_proposals_of_two_lanes_share_no_context_and_make_none(tmp_path: Path) -> None:
    """The one move of the first lane is kept; of the other lane, every move harms."""

    def orders_harm(recipe: Recipe, split: str) -> float:
        return math.log10(recipe.learning_rate / 1e-4) - 1.0 * (recipe.curriculum != "shuffle")

    lanes = "[lanes.hyperparameters]\nlearning_rate = { choices = [1e-4, 1e-3] }\n[lanes.curriculum]\n"
    wanted = Wanting([("learning_rate", 1e-3), ("curriculum", "hard_first")])
    play(study_with(tmp_path, lanes), tmp_path, wanted, orders_harm)
    kept, *others = sorted(decisions_of(tmp_path), key=lambda row: row.status, reverse=True)
    assert (kept.status, kept.row["lane"]) == ("KEEP", "hyperparameters")
    assert "worse" in {row.reason for row in others}
    assert {row.row["lane"] for row in others} == {"curriculum"}
    assert pairs_of(tmp_path) == ()


def test_a_move_that_the_context_does_not_list_makes_none(workspace: Path) -> None:
    """A later turn against the same incumbent may reach further than the first."""
    rewrite(workspace, "UPDATE proposals SET after = '0.5' WHERE id = ?", named(workspace, 5))
    assert turns(pairs_of(workspace)) == [(kept, lost, "worse") for kept in (1, 3) for lost in (2, 4)]


def test_a_ledger_of_an_older_version_gives_the_pairs_of_its_rows(workspace: Path) -> None:
    before = pairs_of(workspace)
    nights.older(Workspace(workspace))
    assert [pair.columns() for pair in pairs_of(workspace)] == [pair.columns() for pair in before]


# its context


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
            assert (read.move.knob, read.hypothesis) == (proposal.knob, f"because {proposal.after} is next")


def test_a_later_session_has_pairs_of_its_own_with_the_first_in_its_history(workspace: Path) -> None:
    before, decided = [pair.columns() for pair in pairs_of(workspace)], decisions_of(workspace)
    session = play(load_study(workspace / "study" / "study.toml"), workspace, Wanting())
    found = pairs_of(workspace)
    assert [pair.columns() for pair in found[: len(before)]] == before
    later = found[len(before) :]
    assert {(pair.kept.session, pair.kept.after) for pair in later} == {(session, 1e-2)}
    assert {pair.context.incumbent.learning_rate for pair in later} == {1e-3}
    for pair in later:
        assert [(one.knob, one.status, one.delta) for one in pair.context.history] == [
            (row.row["knob"], row.status, row.row["delta"]) for row in decided
        ]


def test_a_context_holds_nothing_that_was_decided_later(workspace: Path) -> None:
    play(load_study(workspace / "study" / "study.toml"), workspace, Wanting())
    sessions = set()
    for pair in pairs_of(workspace):
        sessions.add(pair.kept.session)
        _, shown = pair.columns()["prompt"]
        parts = (shown["content"].partition(f"{heading}\n")[2] for heading in (MOVES_HEADING, "# History"))
        moves, history = (part.partition("\n# ")[0] for part in parts)
        assert pair.context.expected == {}
        for proposal in (pair.kept, pair.discarded):
            assert str(proposal.after) in moves
            assert (
                f"| {proposal.before} | {proposal.after} | {'KEEP' if proposal == pair.kept else 'DIS'}" not in history
            )
            assert proposal.hypothesis not in shown["content"]
    assert len(sessions) == 2


def test_the_budget_is_what_was_left_then(workspace: Path) -> None:
    rewrite(workspace, "UPDATE sessions SET limits = ?", '{"decisions": 9}')
    assert all(
        pair.context.budget_left.startswith("9 of 9 decisions, 8.00 of 8 hours, ") for pair in pairs_of(workspace)
    )


def test_a_study_with_another_question_has_pairs_that_know_nothing_of_the_first(workspace: Path) -> None:
    before = [pair.columns() for pair in pairs_of(workspace)]
    path = workspace / "study" / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("arithmetic = 1.5", "arithmetic = 2.5"), encoding="utf-8")
    play(load_study(path), workspace, Wanting())
    found = pairs_of(workspace)
    assert [pair.columns() for pair in found[: len(before)]] == before
    old, new = found[: len(before)], found[len(before) :]
    assert new
    own = {row.row["delta"] for row in decisions_of(workspace) if row.session == new[0].kept.session}
    for pair in new:
        assert {one.delta for one in pair.context.history} <= own
        assert "arithmetic may lose at most 2.5" in briefing(pair.context)
    assert all("arithmetic may lose at most 1.5" in briefing(pair.context) for pair in old)


# its replies


@pytest.mark.parametrize(("predicted", "told"), [(None, 0.0), (0.25, 0.25), (42.0, 10.0)])
def test_a_prediction_is_the_proposers_own_within_the_schemas_bounds(predicted: float | None, told: float) -> None:
    read = read_reply(reply(ledger_rows.proposal(1, predicted=predicted, proposer="wanting")))
    assert (read.predicted_delta, read.hypothesis) == (told, "why")


@pytest.mark.parametrize("proposer", ["factorial", "thompson", "optuna"])
def test_a_change_that_a_wave_took_up_by_itself_tells_no_reading(proposer: str) -> None:
    said = "beta 0.1 -> 0.2: +0.70, give or take 0.10, by all readings"
    read = read_reply(reply(ledger_rows.proposal(1, hypothesis=said, predicted=0.7, proposer=proposer)))
    assert (read.predicted_delta, read.hypothesis) == (0.0, "beta 0.1 -> 0.2")


def test_no_prompt_no_answer_no_path_and_no_instructions_are_in_a_context(tmp_path: Path) -> None:
    study = study_with(tmp_path)
    text = study.text.replace("[runner]", '[proposer]\nprogram = "program.md"\n[runner]')
    study.path.write_text(text, encoding="utf-8")
    (study.path.parent / "program.md").write_text("Keep it between us.", encoding="utf-8")
    play(load_study(study.path), tmp_path, Wanting())
    (study.path.parent / "program.md").unlink()
    done = export_pairs(tmp_path / "runs" / "ledger.sqlite", "jsonl", tmp_path / "out")
    written = done.file.read_text(encoding="utf-8")
    assert len(done.pairs) == 6
    asked = [row["prompt"].strip() for row in simulated_study.prompts()]
    for hidden in ("between us", str(tmp_path), "study.toml", "program.md", ".jsonl", *asked):
        assert hidden not in written


# the export


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
        "6 rows with the columns `prompt`, `chosen`, `rejected`",
        "tags: [trl, nightlane, proposer]",
        "nothing in it was decided later",
        "never the measured effect",
        f"- sessions: `{session}`",
        f"`{session}-001`, `{session}-003`",
        "| chosen   | `wanting` | 0, for none     |    6 |",
        "| `hyperparameters` | `worse`     |    6 |",
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
        "rows": 6,
        "decisions": [
            {"chosen": f"{session}-00{kept}", "rejected": f"{session}-00{lost}"}
            for kept in (1, 3)
            for lost in (2, 4, 5)
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
