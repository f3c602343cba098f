"""The ledger: the durable record of sessions, proposals, probes and decisions, and the authority on all of them.

SQLite with WAL and synchronous=FULL: a row that was acknowledged survives a power cut. Every write is keyed, so doing
it twice changes nothing. ``results.tsv`` and ``progress.log`` follow it (agent/ledger/results/files.py).
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Literal

from agent.ledger.database.codecs import decode, encode
from agent.ledger.requests import RequestRecords
from agent.ledger.tables import (
    CheckRow,
    DecisionRow,
    ExaminationRow,
    PastDecision,
    ProbeRow,
    ProposalRow,
    SessionTotals,
)
from lanes import Recipe
from probes.result.reading import Failure, Outcome, Probe

_SAME_QUESTION = "(SELECT id FROM sessions WHERE question = ? AND key = ?)"
_HISTORY = """
SELECT decisions.rowid, decisions.id, decisions.session, status, reason, lane, knob, before, after, parent, child,
    incumbent, json_extract(row, '$.delta'), {with_others}
FROM decisions JOIN proposals ON proposals.id = decisions.id"""
"""The columns of PastDecision."""
_WITH_OTHERS = "json_extract(course, '$.stack.members[1]') IS NOT NULL"


class Ledger(RequestRecords):
    """Open with ``Ledger(path)``; ``read_only`` never creates or locks anything."""

    def record_proposal(self, proposal: ProposalRow, child: Recipe) -> ProposalRow:
        """Record a proposal; returns the one recorded for its turn, which an earlier call may have written."""
        with self._transaction():
            self._insert_recipe(child)
            self._insert("proposals", encode(proposal))
        recorded = self.proposal(proposal.session, proposal.turn)
        if recorded is None:
            raise RuntimeError(f"proposal {proposal.id} was written and is not there")
        return recorded

    def proposal(self, session_id: str, turn: int) -> ProposalRow | None:
        found = self.proposals("WHERE session = ? AND turn = ?", (session_id, turn))
        return found[0] if found else None

    def proposals(self, clause: str = "", values: tuple[Any, ...] = ()) -> list[ProposalRow]:
        rows = self._db.execute(f"SELECT * FROM proposals {clause} ORDER BY rowid", values)
        return [decode(ProposalRow, row) for row in rows]

    def record_probe(self, session_id: str, probe: Probe, outcome: Outcome, time: str) -> None:
        """Record the outcome of a probe that the session ran. If a probe runs again, its last outcome stays."""
        row = ProbeRow(
            id=probe.id,
            session=session_id,
            recipe=probe.recipe.digest,
            key=probe.key.digest,
            seed=probe.seed,
            kind=outcome.kind if isinstance(outcome, Failure) else "reading",
            message=outcome.message if isinstance(outcome, Failure) else "",
            seconds=0.0 if isinstance(outcome, Failure) else outcome.timing.total,
            time=time,
        )
        with self._transaction():
            self._insert_recipe(probe.recipe)
            self._db.execute("DELETE FROM probes WHERE id = ? AND session = ?", (row.id, row.session))
            self._insert("probes", encode(row))

    def totals(self, session_id: str) -> SessionTotals:
        decisions = "SELECT COUNT(*) FROM decisions WHERE session = :id AND turn > 0"
        dollars = "SELECT COALESCE(SUM(dollars), 0) FROM proposals WHERE session = :id"
        probes = "SELECT COUNT(*) FROM probes WHERE session = :id"
        seconds = "SELECT COALESCE(AVG(seconds), 0) FROM probes WHERE session = :id AND kind = 'reading'"
        found = self._db.execute(f"SELECT ({decisions}), ({dollars}), ({probes}), ({seconds})", {"id": session_id})
        return SessionTotals(*found.fetchone())

    def probes(self, session_id: str) -> list[ProbeRow]:
        rows = self._db.execute("SELECT * FROM probes WHERE session = ? ORDER BY rowid", (session_id,))
        return [decode(ProbeRow, row) for row in rows]

    def probes_under(self, key: str, seeds: Sequence[int]) -> list[ProbeRow]:
        """The probes of all sessions under a probe key with one of these seeds, in the order of the sessions."""
        marks = ", ".join("?" * len(seeds))
        rows = self._db.execute(
            f"SELECT p.* FROM probes p JOIN sessions s ON s.id = p.session WHERE p.key = ? AND p.seed IN ({marks}) "
            "ORDER BY s.started, s.rowid, p.rowid",
            (key, *seeds),
        )
        return [decode(ProbeRow, row) for row in rows]

    def has_probe(self, probe_id: str) -> bool:
        """Whether a session ran this probe."""
        return self._db.execute("SELECT 1 FROM probes WHERE id = ? LIMIT 1", (probe_id,)).fetchone() is not None

    def recent_probes(self, key: str, most: int, without: Collection[str]) -> int:
        """The row number at which the last ``most`` probes under one key begin, without those of the sessions
        ``without``; 0 if there are none."""
        marks = ", ".join("?" * len(without))
        last = f"SELECT MAX(rowid) AS number FROM probes WHERE key = ? AND session NOT IN ({marks}) GROUP BY id"
        found = self._db.execute(
            f"SELECT MIN(number) FROM ({last} ORDER BY number DESC LIMIT ?)", (key, *without, most)
        )
        return found.fetchone()[0] or 0

    def probes_after(self, key: str, number: int, readings_from: int = 0) -> list[tuple[int, ProbeRow]]:
        """(row number, probe) of all sessions under one probe key after a row number, in order; readings only from the
        number ``readings_from`` on. Sessions under other questions are included, so that their readings are used
        again."""
        condition = "key = ? AND rowid > ? AND (rowid >= ? OR kind != 'reading')"
        values, columns = (key, number, readings_from), self._columns["probes"]
        self._require_unaltered("probes", condition, values)
        found = self._db.tuples(
            f"SELECT rowid, {', '.join(columns)} FROM probes WHERE {condition} ORDER BY rowid", values
        )
        return [(row, decode(ProbeRow, dict(zip(columns, fields, strict=True)))) for row, *fields in found]

    def _row_at(self, table: str, number: int) -> Any:
        return self._db.execute(f"SELECT * FROM {table} WHERE rowid = ?", (number,)).fetchone()

    def record_decisions(self, decided: Sequence[tuple[DecisionRow, str]]) -> None:
        """Make decisions durable, each with its line of the progress log: all or none."""
        with self._transaction():
            for decision, event in decided:
                self._insert("decisions", encode(decision))
                self._insert_event(decision.id, decision.session, decision.time, event)

    def record_design(self, check: CheckRow, recipes: Sequence[Recipe]) -> None:
        """Record a wave or a stack with the recipes it will measure, all or none; one that exists stays as it is."""
        with self._transaction():
            for recipe in recipes:
                self._insert_recipe(recipe)
            self._insert("checks", encode(check))

    def record_checks(self, *checks: CheckRow) -> None:
        """Record checks, all or none; a check that exists stays as it is."""
        with self._transaction():
            for check in checks:
                self._insert("checks", encode(check))

    def checks(self, session_id: str, kind: str | None = None, skip: int = 0) -> list[CheckRow]:
        """The checks of a session without the first ``skip``, oldest first. An old ledger has no table of them."""
        if not self._has_table("checks"):
            return []
        kinds, values = ("AND kind = ?", (session_id, kind)) if kind else ("", (session_id,))
        found = f"SELECT * FROM checks WHERE session = ? {kinds} ORDER BY rowid LIMIT -1 OFFSET ?"
        return [decode(CheckRow, row) for row in self._db.execute(found, (*values, skip))]

    def count_checks(self, session_id: str, kind: str) -> int:
        found = self._db.execute("SELECT COUNT(*) FROM checks WHERE session = ? AND kind = ?", (session_id, kind))
        return int(found.fetchone()[0])

    def has_check(self, session_id: str, kind: str, subject: str) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM checks WHERE session = ? AND kind = ? AND subject = ?", (session_id, kind, subject)
        )
        return found.fetchone() is not None

    def subjects_without(self, question: str, key: str, kind: str, without: str) -> list[str]:
        """The subjects with a check of ``kind`` and none of the kind ``without``, under one question and probe key."""
        if not self._has_table("checks"):
            return []
        found = self._db.execute(
            "SELECT c.subject FROM checks c JOIN sessions s ON s.id = c.session "
            "WHERE c.kind = ? AND s.question = ? AND s.key = ? AND NOT EXISTS (SELECT 1 FROM checks o "
            "WHERE o.session = c.session AND o.kind = ? AND o.subject = c.subject) ORDER BY c.rowid",
            (kind, question, key, without),
        )
        return [row["subject"] for row in found]

    def checks_after(self, question: str, key: str, kinds: Sequence[str], number: int) -> list[tuple[int, CheckRow]]:
        """(row number, check) of these kinds, of all sessions under one question and probe key, after a row number."""
        marks = ", ".join("?" * len(kinds))
        if not self._has_table("checks"):
            return []
        found = self._db.execute(
            f"SELECT rowid FROM checks WHERE kind IN ({marks}) AND session IN {_SAME_QUESTION} AND rowid > ? "
            "ORDER BY rowid",
            (*kinds, question, key, number),
        ).fetchall()
        return [(row["rowid"], decode(CheckRow, self._row_at("checks", row["rowid"]))) for row in found]

    def record_noise_floor(self, floor: CheckRow, key: str) -> None:
        """Record the noise floor of a session together with the probe key that follows from it."""
        with self._transaction():
            self._insert("checks", encode(floor))
            self._db.execute("UPDATE sessions SET key = ? WHERE id = ?", (key, floor.session))

    def chosen_samples(self, question: str) -> int | None:
        """The number of answers per prompt that the last session under a question chose, if one did."""
        if not self._has_table("checks"):
            return None
        row = self._db.execute(
            "SELECT c.data FROM checks c JOIN sessions s ON s.id = c.session "
            "WHERE c.kind = 'floor' AND s.question = ? ORDER BY c.rowid DESC LIMIT 1",
            (question,),
        ).fetchone()
        return int(json.loads(row["data"])["samples"]) if row else None

    def history(self, question: str, key: str, after: int = 0) -> list[PastDecision]:
        """The decisions on proposals of all sessions under one question and probe key after the row number ``after``,
        oldest first. Also caches ``effect`` of the proposed recipes."""
        if not self._db.execute("SELECT 1 FROM decisions WHERE rowid > ? LIMIT 1", (after,)).fetchone():
            return []
        plus = "+" if after else ""  # keeps SQLite from the index by session, which is slow for a few last rows
        decisions = f"decisions.rowid > ? AND decisions.turn > 0 AND {plus}decisions.session IN {_SAME_QUESTION}"
        values = (after, question, key)
        proposals = f"proposals.id IN (SELECT id FROM decisions WHERE {decisions})"
        recipes = f"recipes.digest IN (SELECT child FROM proposals WHERE {proposals})"
        for table, rows in (("decisions", decisions), ("proposals", proposals), ("recipes", recipes)):
            self._require_unaltered(table, rows, values)
        for digest, text in self._db.tuples(f"SELECT digest, toml FROM recipes WHERE {recipes}", values):
            if digest not in self._effects:
                self._effects[digest] = Recipe.from_toml(text).effect
        known: dict[Any, Any] = {}  # most texts occur in many decisions, and are kept in memory once
        others = _WITH_OTHERS if "course" in self._columns["decisions"] else "0"
        found = self._db.tuples(f"{_HISTORY.format(with_others=others)} WHERE {decisions}", values)
        names = [field.name for field in fields(PastDecision)]
        past = [
            PastDecision(**{name: known.setdefault(value, value) for name, value in zip(names, columns, strict=True)})
            for columns in found
        ]
        return sorted(past, key=attrgetter("number"))

    def comparisons(self, question: str, key: str) -> Iterator[Mapping[str, Any]]:
        """The comparisons of all decisions on proposals under one question and probe key, oldest first."""
        rows = self._db.execute(
            "SELECT comparison FROM decisions WHERE turn > 0 AND comparison IS NOT NULL AND "
            f"session IN {_SAME_QUESTION} ORDER BY rowid",
            (question, key),
        )
        return (json.loads(row["comparison"]) for row in rows)

    def decisions_after(self, session_id: str, number: int) -> list[tuple[int, DecisionRow]]:
        """(row number, decision) of a session after a row number, oldest first."""
        return [(place, self._load_decision(name)) for place, name in self.decided_after(session_id, number)]

    def decided_after(self, session_id: str, number: int) -> list[tuple[int, str]]:
        """(row number, id) of the decisions of a session after a row number, oldest first."""
        rows = self._db.execute(
            f"SELECT rowid, id FROM decisions WHERE {'+' if number else ''}session = ? AND rowid > ? ORDER BY rowid",
            (session_id, number),
        ).fetchall()
        return [(row["rowid"], row["id"]) for row in rows]

    def recorded_cost(self, session_id: str) -> float:
        """The sum of the dollars in a session's rows of results.tsv."""
        found = self._db.execute(
            "SELECT json_extract(row, '$.cost_usd') AS cost FROM decisions WHERE session = ? ORDER BY rowid",
            (session_id,),
        )
        return sum(row["cost"] or 0.0 for row in found)

    def retractions(self, after: int = 0) -> list[tuple[int, DecisionRow]]:
        """(row number, retraction) of all sessions after a row number, oldest first."""
        rows = self._db.execute(
            "SELECT rowid, id FROM decisions WHERE status = 'RETRACT' AND rowid > ? ORDER BY rowid", (after,)
        ).fetchall()
        return [(row["rowid"], self._load_decision(row["id"])) for row in rows]

    def rows_after(self, number: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """(row number, row of results.tsv) of all sessions after a row number, oldest first."""
        found = self._db.execute("SELECT rowid, row FROM decisions WHERE rowid > ? ORDER BY rowid", (number,))
        return ((row["rowid"], json.loads(row["row"])) for row in found)

    def id_at(self, table: Literal["decisions", "events"], number: int) -> str | None:
        """The id of the decision or event with this row number."""
        row = self._db.execute(f"SELECT id FROM {table} WHERE rowid = ?", (number,)).fetchone()
        return row["id"] if row else None

    def incumbent(self, question: str, key: str) -> str | None:
        """The digest of the incumbent after the last KEEP or RETRACT under one question and probe key."""
        row = self._db.execute(
            "SELECT d.incumbent FROM decisions d JOIN sessions s ON s.id = d.session "
            "WHERE s.question = ? AND s.key = ? AND d.status IN ('KEEP', 'RETRACT') ORDER BY d.rowid DESC LIMIT 1",
            (question, key),
        ).fetchone()
        return str(row[0]) if row else None

    def decision(self, decision_id: str) -> DecisionRow | None:
        found = self.decisions("WHERE id = ?", (decision_id,))
        return found[0] if found else None

    def decisions(self, clause: str = "", values: tuple[Any, ...] = ()) -> list[DecisionRow]:
        rows = self._db.execute(f"SELECT * FROM decisions {clause} ORDER BY rowid", values)
        return [decode(DecisionRow, row) for row in rows]

    def _load_decision(self, decision_id: str) -> DecisionRow:
        return decode(DecisionRow, self._db.execute("SELECT * FROM decisions WHERE id = ?", (decision_id,)).fetchone())

    def record_examination(self, examination: ExaminationRow) -> None:
        """Record an examination of the scorer. An examination that is repeated after a kill gets its own row."""
        with self._transaction():
            self._insert("examinations", encode(examination))

    def examinations(self, session_id: str) -> list[ExaminationRow]:
        """The examinations of a session, oldest first. An old ledger has no table of them."""
        if not self._has_table("examinations"):
            return []
        rows = self._db.execute("SELECT * FROM examinations WHERE session = ? ORDER BY rowid", (session_id,))
        return [decode(ExaminationRow, row) for row in rows]
