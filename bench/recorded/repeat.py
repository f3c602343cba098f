"""Sessions over recorded readings: the decisions of the session code on four mutations with known effects.

    python -m bench.recorded repeat [--repetitions 20]

Each repetition draws its training seeds from the pool without replacement. The mutations are proposed in a random
order, `helper` last, because recipes on top of it were not recorded.
"""

import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.ledger.store import Ledger
from agent.ledger.tables import DecisionRow
from agent.loop.begin_or_resume import Overrides, begin
from agent.proposers import Chain, Situation, Suggestion
from agent.study.load import Study, parse_study
from agent.workspace.folder import Workspace
from bench.recorded.plan import PLAN, Planned
from bench.recorded.pool import Pool, PoolRunner
from probes.result.reading import Probe
from probes.run.protocol import Progress

PROPOSED = ("null", "breaker", "diverging", "helper")
WANTED = {"helper": (16, 20), "null": (0, 1), "breaker": (0, 0), "diverging": (0, 0)}
"""The least and the most KEEPs of 20 repetitions."""


class Silent:
    """A watcher that prints nothing."""

    def progress(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def measuring(self, title: str, probes: Sequence[Probe]) -> None: ...

    def decided(self, decision: DecisionRow) -> None: ...


@dataclass
class ScriptedProposer:
    """Proposes given mutations in their order."""

    planned: Iterator[Planned]
    name: str = "told"

    def propose(self, situation: Situation) -> Suggestion:
        one = next(self.planned)
        return Suggestion(one.knob, one.value, one.name, None, self.name)


@dataclass(frozen=True, slots=True)
class Repetition:
    """The decision on each proposed mutation, and the retractions at the end."""

    reasons: Mapping[str, str]
    kept: tuple[str, ...]
    retracted: int
    probes: int


def repeat(pool: Pool, repetitions: int) -> list[Repetition]:
    return [_one(pool, number) for number in range(repetitions)]


def _one(pool: Pool, number: int) -> Repetition:
    order = [*random.Random(f"order {number}").sample(PROPOSED[:-1], len(PROPOSED) - 1), PROPOSED[-1]]
    planned = {one.name: one for one in PLAN}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = _study(folder, pool)
        chain = Chain(None, ScriptedProposer(iter(planned[one] for one in order)), 0.0, "the planned mutations")
        begin(
            study,
            Workspace(folder),
            Overrides(decisions=len(order)),
            Silent(),
            lambda workspace, session: workspace.session(session),
            seed=number,
            fresh=True,
            runner=PoolRunner(pool, number),
            proposers=chain,
        )
        with Ledger(folder / "runs" / "ledger.sqlite", read_only=True) as ledger:
            hypotheses = {row.id: row.hypothesis for row in ledger.proposals()}
            decisions = ledger.decisions("WHERE turn > 0")
            reasons = {hypotheses[row.id]: row.reason for row in decisions}
            kept = tuple(hypotheses[row.id] for row in decisions if row.status == "KEEP")
            return Repetition(
                reasons,
                kept,
                len(ledger.decisions("WHERE status = 'RETRACT'")),
                len(ledger.probes(ledger.sessions()[0])),
            )


def _study(folder: Path, pool: Pool) -> Study:
    """Write the recorded study with its prompts, and placeholders for its sources, since nothing is trained."""
    checks = {"entry_point": "f", "cases": [{"args": [1], "expected": 1}]}
    (folder / "build").mkdir()
    rows = [
        {"id": name, "split": split, "category": category, "prompt": f"{split} {name}", "checks": checks}
        for split in ("probe", "holdout")
        for name, category in pool.prompts(split)
    ]
    (folder / "build" / "prompts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    study = parse_study(folder / "study.toml", _simulated(pool.study_text))
    for name, file in study.file.data.sources.items():
        row = {"prompt": f"for {name}", "chosen": "a", "rejected": "b"}
        (folder / file).write_text(f"{json.dumps(row)}\n", encoding="utf-8")
    (folder / "program.md").write_text("", encoding="utf-8")
    (folder / "study.toml").write_text(study.text, encoding="utf-8")
    return study


def _simulated(text: str) -> str:
    """The study for a session over the pool: no lab, no A/A tests and no survey, for which the pool has no seeds or
    recipes."""
    text = text.replace('lab = "microcoder"\n', "").replace("[runner]\n", '[runner]\nkind = "simulated"\n')
    text = re.sub(r"^survey = .*\n", "", text, flags=re.MULTILINE)
    return text.replace("[policy]\n", "[policy]\ndisguised = 0.0\nsurvey = 0\n")


def markdown(found: Sequence[Repetition]) -> str:
    kept = Counter(name for one in found for name in one.kept)
    lines = ["| mutation | proposed | kept | wanted of 20 | reasons |", "|---|---:|---:|---|---|"]
    for name in PROPOSED:
        reasons = Counter(one.reasons[name] for one in found if name in one.reasons)
        low, high = WANTED[name]
        said = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        lines.append(f"| {name} | {sum(reasons.values())} | {kept[name]} | {low} to {high} | {said} |")
    probes = sum(one.probes for one in found) / len(found)
    back = sum(one.retracted for one in found)
    return "\n".join(
        [*lines, "", f"{len(found)} repetitions, {probes:.0f} probes each; {back} KEEPs taken back at the end."]
    )
