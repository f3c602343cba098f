"""The result of ``nightlane pairs certify``: what each layer caught, for a terminal and as JSON values."""

from typing import Any

from preferences.certify.certificate import catches
from preferences.certify.certify_rows import RowCertificate
from preferences.certify.certify_store import StoreCertification
from view.markdown import count, plain

SHOWN = 5
TOPICS_UNKNOWN = (
    "topic: these answers hardly name what was asked, so answers that leaked from another prompt cannot be recognised, "
    "and this layer refused none; read a few with nightlane pairs review"
)


def certify_data(done: StoreCertification) -> dict[str, Any]:
    caught = catches([one.certificate for one in done.rows], done.gate)
    return {
        "kind": done.kind,
        "gate": done.gate,
        "rows": caught.texts,
        "without_contract": done.without_contract,
        "new_orpo_rows": done.new,
        "kept_out": list(done.not_added),
        "mechanical": caught.mechanical,
        "certified": sum(one.certificate.certified for one in done.rows),
        "topics_told_apart": all(map(_topics_told_apart, done.rows)),
        "layers": [
            {"layer": layer.layer, "caught": layer.caught, "alone": layer.alone, "left": layer.left}
            for layer in caught.layers
        ],
        "refused": [
            {"row": one.row.id, "layers": list(one.certificate.failed), "reason": one.certificate.reason}
            for one in done.rows
            if not one.certificate.certified
        ],
    }


def certify_text(done: StoreCertification) -> str:
    """How many rows were certified, what each layer caught, and the first refusals."""
    data = certify_data(done)
    lines = [
        f"{done.kind}: {data['certified']} of {count(data['rows'], 'row')} certified, {done.new} new in orpo"
        + (f"; {count(done.without_contract, 'row')} without a contract" if done.without_contract else "")
        + (f"; {data['mechanical']} of mechanical origin refused unchecked" if data["mechanical"] else ""),
        "",
        f"{'layer':<15}{'caught':>8}{'alone':>8}{'left':>8}",
        *(f"{one['layer']:<15}{one['caught']:>8}{one['alone']:>8}{one['left']:>8}" for one in data["layers"]),
    ]
    lines += [f"not in orpo: {plain(reason, 200)}" for reason in done.not_added[:SHOWN]]
    refused = data["refused"]
    if refused:
        lines += ["", f"refused{'' if len(refused) <= SHOWN else f', the first {SHOWN} of {len(refused)}'}:"]
        lines += [f"  {one['row']}  {plain(one['reason'], 160)}" for one in refused[:SHOWN]]
    if not data["topics_told_apart"]:
        lines += ["", TOPICS_UNKNOWN]
    return "\n".join(lines)


def _topics_told_apart(one: RowCertificate) -> bool:
    """Whether the topic layer could tell the answers of the set apart; True for a gate without it."""
    figures = [receipt.figures for receipt in one.certificate.receipts if receipt.layer == "topic"]
    return all(figure["told_apart"] == 1 for figure in figures)
