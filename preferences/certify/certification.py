"""Rows through a gate, programs or texts: each gets its certificate, and what passes becomes an ORPO row."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from preferences import text_gate
from preferences.certify.certificate import Certificate
from preferences.code_gate import Contract, Sandboxes, certify
from preferences.store.annotations import AnnotatedRow, Certification, text_digest, usable_rows
from preferences.store.rows import Row
from preferences.text_gate import Case
from preferences.text_gate.refusal import declines
from probes.inputs.turns import plain


@dataclass(frozen=True, slots=True)
class Certified:
    """A row and what the gate said of its chosen side."""

    row: AnnotatedRow
    certificate: Certificate


def held_to(rows: Iterable[AnnotatedRow], contracts: Mapping[str, Contract]) -> list[tuple[AnnotatedRow, Contract]]:
    """The plain rows in use, copies once, whose prompt has a contract, and it."""
    asked = [(one, one.row.prompt) for one in usable_rows(rows)]
    return [(one, contracts[prompt]) for one, prompt in asked if isinstance(prompt, str) and prompt in contracts]


def certify_row(one: AnnotatedRow, contract: Contract, sandboxes: Sandboxes) -> Certified:
    """The program in the chosen answer through the code gate. All of the answer is trained on, so one that declines
    beside its program is refused, too. SandboxBroken when the machinery failed: try again."""
    texts = [plain(text) for text in one.texts]
    chosen, rejected = (sandboxes.parser.extract(text, contract.entry_point) for text in texts)
    refused = ""
    if chosen.form in ("fenced", "chatty") and declines(texts[0]):
        refused = "the answer declines, though it holds a program"
    elif chosen.source and chosen.source.strip() == rejected.source.strip():
        refused = "both sides hold the same program, so there is nothing to prefer"
    return Certified(one, certify(chosen.source, contract, one.sides[0].origin, sandboxes, refused=refused))


def certify_case(case: Case) -> Certified:
    """The chosen answer through the text gate."""
    return Certified(case.row, text_gate.certify(case))


def certification(found: Certified, time: str) -> Certification:
    """As the stores keep it."""
    receipt = json.dumps(found.certificate.as_json(), sort_keys=True)
    return Certification(found.row.id, text_digest(found.row.texts[0]), receipt, time)


def orpo_of(found: Sequence[Certified]) -> tuple[Row, ...]:
    """The ORPO rows of those that passed, with their certificates: as the row stands, flipped or not."""
    return tuple(_orpo(one.row, one.certificate) for one in found if one.certificate.certified)


def _orpo(one: AnnotatedRow, certificate: Certificate) -> Row:
    origins = replace(one.row.provenance, sides=one.sides)
    return replace(
        one.row, kind="orpo", texts=one.texts, scores=one.scores, provenance=origins, receipt=certificate.as_json()
    )
