"""Rows through a gate, programs or texts: each gets its certificate, and what passes becomes an ORPO row."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from preferences import text_gate
from preferences.certificate import Certificate
from preferences.gate import Contract, Rooms, certify
from preferences.overlay import Certification, Standing, text_digest
from preferences.pairing import orpo_rows
from preferences.provenance import Provenance
from preferences.rows import Row
from preferences.text_gate import Case
from probes.scoring.extraction import extract


@dataclass(frozen=True, slots=True)
class Certified:
    """A row and what the gate said of its chosen side."""

    row: Standing
    certificate: Certificate


def held_to(rows: Iterable[Standing], contracts: Mapping[str, Contract]) -> list[tuple[Standing, Contract]]:
    """The plain rows in use whose prompt has a contract, and it."""
    asked = [(one, one.row.prompt) for one in rows if one.used]
    return [(one, contracts[prompt]) for one, prompt in asked if isinstance(prompt, str) and prompt in contracts]


def certify_row(one: Standing, contract: Contract, rooms: Rooms) -> Certified:
    """The program in the chosen answer through the code gate. SandboxBroken when the machinery failed: try again."""
    text = one.texts[0]
    program = extract(text, contract.entry_point).source if isinstance(text, str) else ""
    return Certified(one, certify(program, contract, one.sides[0].origin, rooms))


def certify_case(case: Case) -> Certified:
    """The chosen answer through the text gate."""
    return Certified(case.row, text_gate.certify(case))


def certification(found: Certified, time: str) -> Certification:
    """As the stores keep it."""
    receipt = json.dumps(found.certificate.as_json(), sort_keys=True)
    return Certification(found.row.id, text_digest(found.row.texts[0]), receipt, time)


def orpo_of(found: Sequence[Certified]) -> tuple[Row, ...]:
    """The ORPO rows of those that passed, with their certificates: as the row stands, flipped or not."""
    rows = []
    for one in found:
        row, standing = one.row.row, one.row
        origins: Provenance = replace(row.provenance, sides=standing.sides)
        certified = one.certificate.as_json()
        rows.append(replace(row, texts=standing.texts, scores=standing.scores, provenance=origins, receipt=certified))
    return orpo_rows(rows)
