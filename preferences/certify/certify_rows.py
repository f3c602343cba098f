"""Certifies single rows, programs or texts, and makes ORPO rows of those that pass."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from preferences import text_gate
from preferences.certify.certificate import Certificate
from preferences.code_gate import Contract, ContractSandboxes, certify
from preferences.store.annotations import AnnotatedRow, Certification, text_digest, usable_rows
from preferences.store.rows import Row
from preferences.text_gate import AnswerUnderTest
from preferences.text_gate.layers.refusal import declines
from probes.inputs.rows.turns import plain


@dataclass(frozen=True, slots=True)
class RowCertificate:
    """A row with the certificate of its chosen side, whether that passed or not."""

    row: AnnotatedRow
    certificate: Certificate


def rows_with_contracts(
    rows: Iterable[AnnotatedRow], contracts: Mapping[str, Contract]
) -> list[tuple[AnnotatedRow, Contract]]:
    """The rows in use, without copies, whose prompt is a plain text that has a contract."""
    prompts = [(row, row.row.prompt) for row in usable_rows(rows)]
    return [(row, contracts[prompt]) for row, prompt in prompts if isinstance(prompt, str) and prompt in contracts]


def certify_program(row: AnnotatedRow, contract: Contract, sandboxes: ContractSandboxes) -> RowCertificate:
    """The program in the chosen answer through the code gate. A model is trained on the whole answer, so one that
    declines is refused even if it contains a program. SandboxBroken when the machinery failed: try again."""
    texts = [plain(text) for text in row.texts]
    chosen, rejected = (sandboxes.parser.extract(text, contract.entry_point) for text in texts)
    refused = ""
    if chosen.form in ("fenced", "chatty") and declines(texts[0]):
        refused = "the answer declines, though it contains a program"
    elif chosen.source and chosen.source.strip() == rejected.source.strip():
        refused = "both sides contain the same program, so there is nothing to prefer"
    return RowCertificate(row, certify(chosen.source, contract, row.sides[0].origin, sandboxes, refused=refused))


def certify_answer(answer: AnswerUnderTest) -> RowCertificate:
    """The chosen answer through the text gate."""
    return RowCertificate(answer.row, text_gate.certify(answer))


def stored_certification(certified: RowCertificate, time: str) -> Certification:
    """The certificate in the form of the stores."""
    receipt = json.dumps(certified.certificate.as_json(), sort_keys=True)
    return Certification(certified.row.id, text_digest(certified.row.texts[0]), receipt, time)


def orpo_rows(rows: Sequence[RowCertificate]) -> tuple[Row, ...]:
    """The ORPO rows of those that passed, with their certificates; sides of a flipped row are swapped."""
    return tuple(_orpo_row(one.row, one.certificate) for one in rows if one.certificate.certified)


def _orpo_row(row: AnnotatedRow, certificate: Certificate) -> Row:
    return replace(
        row.row,
        kind="orpo",
        texts=row.texts,
        scores=row.scores,
        provenance=replace(row.row.provenance, sides=row.sides),
        receipt=certificate.as_json(),
    )
