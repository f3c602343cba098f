"""What the gate caught, for a terminal and as JSON values."""

from typing import Any

from preferences.certify.certificate import catches
from preferences.certify.certification import Certified
from preferences.certify.certify_store import Certifying
from view.report.markdown import count, plain

SHOWN = 5
TOPICS_UNKNOWN = (
    "topic: these answers hardly name what was asked, so nothing tells one that leaked from another prompt, and none "
    "was refused for it; read a few with nightlane pairs review"
)


def certify_data(done: Certifying) -> dict[str, Any]:
    caught = catches([one.certificate for one in done.found], done.gate)
    return {
        "kind": done.kind,
        "gate": done.gate,
        "rows": caught.texts,
        "without_contract": done.without,
        "new_orpo_rows": done.new,
        "kept_out": list(done.refused),
        "mechanical": caught.mechanical,
        "certified": sum(one.certificate.certified for one in done.found),
        "topics_told_apart": all(map(_topics_distinguished, done.found)),
        "layers": [
            {"layer": layer.layer, "caught": layer.caught, "alone": layer.alone, "left": layer.left}
            for layer in caught.layers
        ],
        "refused": [
            {"row": one.row.id, "layers": list(one.certificate.failed), "reason": one.certificate.reason}
            for one in done.found
            if not one.certificate.certified
        ],
    }


def certify_text(done: Certifying) -> str:
    """The funnel, what each layer caught and what it alone caught, the first refusals, and what nobody could tell."""
    data = certify_data(done)
    lines = [
        f"{done.kind}: {data['certified']} of {count(data['rows'], 'row')} certified, {done.new} new in orpo"
        + (f"; {count(done.without, 'row')} without a contract" if done.without else "")
        + (f"; {data['mechanical']} of mechanical origin refused unseen" if data["mechanical"] else ""),
        "",
        f"{'layer':<15}{'caught':>8}{'alone':>8}{'left':>8}",
        *(f"{one['layer']:<15}{one['caught']:>8}{one['alone']:>8}{one['left']:>8}" for one in data["layers"]),
    ]
    lines += [f"not in orpo: {plain(why, 200)}" for why in done.refused[:SHOWN]]
    refused = data["refused"]
    if refused:
        lines += ["", f"refused{'' if len(refused) <= SHOWN else f', the first {SHOWN} of {len(refused)}'}:"]
        lines += [f"  {one['row']}  {plain(one['reason'], 160)}" for one in refused[:SHOWN]]
    if not data["topics_told_apart"]:
        lines += ["", TOPICS_UNKNOWN]
    return "\n".join(lines)


def _topics_distinguished(one: Certified) -> bool:
    """Whether the topic layer, where the gate has one, could tell the answers of the set apart."""
    figures = [receipt.figures for receipt in one.certificate.receipts if receipt.layer == "topic"]
    return all(found["told_apart"] == 1 for found in figures)
