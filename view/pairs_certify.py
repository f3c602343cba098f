"""What the gate caught, for a terminal and as JSON values."""

from typing import Any

from agent.certifying import Certifying
from preferences.gate import catches
from view.markdown import count, plain

SHOWN = 5


def certify_data(done: Certifying) -> dict[str, Any]:
    caught = catches([one.certificate for one in done.found])
    return {
        "kind": done.kind, "rows": caught.programs, "without_contract": done.without, "new_orpo_rows": done.new,
        "certified": sum(one.certificate.certified for one in done.found), "mechanical": caught.mechanical,
        "layers": [
            {"layer": layer.layer, "caught": layer.caught, "alone": layer.alone, "left": layer.left}
            for layer in caught.layers
        ],
        "refused": [
            {"row": one.row.id, "layers": list(one.certificate.failed), "reason": one.certificate.reason}
            for one in done.found if not one.certificate.certified
        ],
    }  # fmt: skip


def certify_text(done: Certifying) -> str:
    """The funnel, what each layer caught and what it alone caught, and the first refusals."""
    data = certify_data(done)
    lines = [
        f"{done.kind}: {data['certified']} of {count(data['rows'], 'row')} certified, {done.new} new in orpo"
        + (f"; {count(done.without, 'row')} without a contract" if done.without else "")
        + (f"; {data['mechanical']} of mechanical origin refused unseen" if data["mechanical"] else ""),
        "", f"{'layer':<14}{'caught':>8}{'alone':>8}{'left':>8}",
        *(f"{one['layer']:<14}{one['caught']:>8}{one['alone']:>8}{one['left']:>8}" for one in data["layers"]),
    ]  # fmt: skip
    refused = data["refused"]
    if refused:
        lines += ["", f"refused{'' if len(refused) <= SHOWN else f', the first {SHOWN} of {len(refused)}'}:"]
        lines += [f"  {one['row']}  {plain(one['reason'], 160)}" for one in refused[:SHOWN]]
    return "\n".join(lines)
