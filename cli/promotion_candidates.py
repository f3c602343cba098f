"""The recipes that a promotion compares: the starting one, the one to promote, and others that a session measured."""

from dataclasses import dataclass
from statistics import fmean

from agent.ledger.database.file import holds_sessions
from agent.ledger.store import Ledger
from agent.ledger.tables import SessionRow
from agent.study.load import Study
from agent.workspace.folder import Workspace
from cli.recipe_choice import INCUMBENT, last_session, recipe_for
from finetune.promotion.promote import Candidate
from probes.result.reading import Reading
from probes.run.store import ProbeStore


@dataclass(frozen=True)
class Candidates:
    """``session``: the id of the last finished session under the study's question; "" without one."""

    session: str
    start: Candidate
    stands: Candidate
    others: tuple[Candidate, ...]


def candidates(study: Study, workspace: Workspace, named: str, compare: int) -> Candidates:
    """The recipes to compare. ``named``: the recipe to promote. ``compare``: how many others, evenly spread over the
    ranks of the recipes that the session measured."""
    chosen = recipe_for(study, workspace, named)
    if not holds_sessions(workspace.ledger):
        start = Candidate(study.start, "the study's own")
        return Candidates("", start, Candidate(chosen.recipe, chosen.origin), ())
    with Ledger(workspace.ledger, read_only=True) as ledger:
        session = last_session(ledger, study.question)
        if session is None:
            start = Candidate(study.start, "the study's own")
            return Candidates("", start, Candidate(chosen.recipe, chosen.origin), ())
        first = ledger.recipe(session.start)
        deltas = _probe_deltas(ledger, session, ProbeStore(workspace.runs), study.target)
        ranked = sorted(deltas, key=lambda digest: (deltas[digest], digest))
        others = [digest for digest in ranked if digest not in (first.digest, chosen.recipe.digest)]
        return Candidates(
            session=session.id if named == INCUMBENT else "",
            start=Candidate(first, f"the recipe that session {session.id} started from"),
            stands=Candidate(chosen.recipe, chosen.origin, deltas.get(chosen.recipe.digest)),
            others=tuple(
                Candidate(ledger.recipe(digest), f"measured by session {session.id}", deltas[digest])
                for digest in spread(others, compare)
            ),
        )


def spread(ranked: list[str], number: int) -> list[str]:
    """``number`` of them, evenly spaced in their order, with the first and the last if there are two or more."""
    if number >= len(ranked):
        return ranked
    places = [round(place * (len(ranked) - 1) / max(1, number - 1)) for place in range(number)]
    return [ranked[place] for place in places]


def _probe_deltas(ledger: Ledger, session: SessionRow, store: ProbeStore, target: str) -> dict[str, float]:
    """Digest of each measured recipe -> its mean difference from the session's start in the target category: over the
    seeds that both have, or of the two means if there are none."""
    means: dict[str, dict[int, float]] = {}
    for probe in ledger.probes(session.id):
        if probe.kind == "reading" and probe.key == session.key:
            reading = store.read(probe.id)
            if isinstance(reading, Reading):
                means.setdefault(probe.recipe, {})[probe.seed] = reading.mean(target)
    start = means.get(session.start)
    if not start:
        return {}
    found = {}
    for recipe, own in means.items():
        shared = own.keys() & start.keys()
        found[recipe] = (
            fmean(own[seed] - start[seed] for seed in shared) if shared else fmean(own.values()) - fmean(start.values())
        )
    return found
