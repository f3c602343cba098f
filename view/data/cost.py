"""What a study asks of the machine: counts from its files, times only from what this workspace has measured."""

from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist, median

from agent.ledger.file import holds_sessions
from agent.ledger.store import Ledger
from agent.policy.alpha_spending import levels
from agent.study.load import Study
from agent.study.power import advice, analyse_power
from agent.workspace.folder import Workspace
from view.markdown import count, plain
from view.terminal.next_commands import run_command


@dataclass(frozen=True, slots=True)
class ProbeHistory:
    """Probes of the same question that took time here: seconds of each, and the pace of the sessions that ran them.

    ``pace``: active seconds per probe, everything included; below the median where probes run side by side.
    ``probes_per_decision``: baselines, confirmations and the checks at the end included.
    """

    seconds: tuple[float, ...]
    pace: float | None
    probes_per_decision: float | None = None


def cost_text(study: Study, workspace: Workspace) -> str:
    """For nightlane check: that the study is valid, what a probe does, and what it is known to cost."""
    history = probe_history(study, workspace)
    lines = [f"{study.path} is valid: study {study.name}, target {study.target}, {_guards(study)}", ""]
    rows = [*_counts(study), *_times(history), *_budget(study, history)]
    if not history.seconds:
        rows.append(("to find out", run_command(str(study.path), str(workspace.root)) + " --decisions 1"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        [*lines, *(f"{name:<{width}}  {value}" for name, value in rows), "", *_detectable_effects(study, workspace)]
    )


def probe_history(study: Study, workspace: Workspace) -> ProbeHistory:
    """What this workspace's ledger knows about probes of this very question."""
    if not holds_sessions(workspace.ledger):
        return ProbeHistory((), None)
    seconds: list[float] = []
    active, decided = 0.0, 0
    with Ledger(workspace.ledger, read_only=True) as ledger:
        for session_id in ledger.sessions():
            session = ledger.session(session_id)
            if session is None or session.question != study.question:
                continue
            found = [row.seconds for row in ledger.probes(session_id) if row.seconds > 0]
            seconds += found
            active += ledger.active_seconds(session_id) if found else 0.0
            decided += ledger.totals(session_id).decisions
    pace = active / len(seconds) if seconds and active else None
    return ProbeHistory(tuple(seconds), pace, len(seconds) / decided if decided else None)


def _guards(study: Study) -> str:
    return "guards " + ", ".join(f"{name} ({m:g})" for name, m in study.guards.items()) if study.guards else "no guards"


def _counts(study: Study) -> list[tuple[str, str]]:
    probe, material = study.file.probe, study.material
    categories = Counter(prompt.category for prompt in material.probe_prompts)
    answers = len(material.probe_prompts) * probe.samples
    pairs = ", ".join(f"{name} {len(found)}" for name, found in material.sources.items())
    lanes, batch = study.lanes, study.start.effective_batch
    moves = {lane: sum(map(len, lanes.moves(study.start, lane).values())) for lane in lanes.shares}
    return [
        ("probe prompts", ", ".join(f"{name} {number}" for name, number in sorted(categories.items()))),
        ("pairs", pairs),
        *(("left out", plain(sentence)) for sentence in material.left_out),
        *(("note", plain(note)) for source in material.read_sources.values() for note in source.notes),
        ("legal moves", ", ".join(f"{lane} {number}" for lane, number in moves.items()) + ", from the starting recipe"),
        (
            "one probe",
            f"{probe.steps} steps x {batch} = {probe.steps * batch} pairs trained on, then "
            f"{len(material.probe_prompts)} prompts x {probe.samples} = {answers} answers of up to "
            f"{probe.max_new_tokens} tokens",
        ),
        *_judge(study),
        *_decision(study),
    ]


def _decision(study: Study) -> list[tuple[str, str]]:
    """How many probes a candidate takes, and what the session takes beside them."""
    policy, beside = study.file.policy, f"{count(len(study.file.probe.seeds), 'probe')} of the starting recipe at first"
    if policy.holdout_seeds:
        beside += (
            f"; at the end {2 * policy.holdout_seeds} on the holdout, and as many for each KEEP as the budget allows"
        )
    if policy.survey and not study.scorer.chooses:
        beside += f"; before the first decision up to {policy.survey} for a survey"
    return [
        (
            "one decision",
            f"{policy.first_seeds} to {policy.screening_seeds} probes for screening, the incumbent's are "
            "shared by its round; where promising, up to "
            f"{2 * policy.confirming_seeds} fresh ones for a confirmation, the incumbent's among them",
        ),
        ("beside those", beside),
        *_harvest(study),
    ]


def _harvest(study: Study) -> list[tuple[str, str]]:
    """What making pairs costs; nothing if none are made."""
    prompts, samples = len(study.material.prompts_of("harvest")), study.file.harvest.samples
    if not prompts:
        return []
    asked = f"2 x {count(prompts, 'harvest prompt')} x {samples} = {2 * prompts * samples} answers"
    return [("harvest", f"{asked} after each decision that shows which recipe is better; nothing is trained for it")]


def _judge(study: Study) -> list[tuple[str, str]]:
    """The judge and its number of judgements; nothing if a program scores."""
    scorer = study.scorer
    if not scorer.judge:
        return []
    answers = len(study.material.probe_prompts) * study.file.probe.samples * scorer.judgements
    priced = "" if scorer.priced else "; not priced (dollars_per_million_input and _output under [scorer])"
    return [("judge", f"{scorer.judge}, {answers} judgements a probe at most{priced}")]


def _times(history: ProbeHistory) -> list[tuple[str, str]]:
    if not history.seconds:
        return [("probe time", "not yet measured in this workspace")]
    rows = [("probe time", f"{median(history.seconds):.1f} s (median of {len(history.seconds)} measured here)")]
    if history.pace is not None:
        rows.append(("pace", f"a probe every {history.pace:.1f} s of active time, all workers together, as measured"))
    return rows


def _detectable_effects(study: Study, workspace: Workspace) -> list[str]:
    """Per category: prompts, the error of a whole confirmation, and the smallest effect that it shows with an even
    chance."""
    found = analyse_power(study, workspace)
    roles = {study.target: "target", **{name: f"guard, may lose {margin:g}" for name, margin in study.guards.items()}}
    width = max(len(name) for name in ("category", *found.resolutions))
    lines = [f"What can be seen (noise {found.source}):"]
    lines.append(f"{'category':<{width}}  prompts  standard error  half-width  smallest effect")
    for name, resolution in found.resolutions.items():
        figures = f"{resolution.standard_error:>14.2f}  {resolution.half_width:>10.2f}  {found.detectable(name):>15.2f}"
        lines.append(f"{name:<{width}}  {found.designs[name].prompts:>7}  {figures}  {roles.get(name, '')}".rstrip())
    lines += ["", f"To see smaller effects in {study.target}: raise {advice(study, found)}."]
    if study.scorer.chooses:
        lines.append("Decisions rest on choices: an effect is 10 x (share of answers won minus share lost).")
    policy = study.file.policy
    level = levels(policy.guard_error, policy.confirming_seeds, policy.first_seeds)[-1]
    needed = {name: NormalDist().inv_cdf(1 - level) * found.resolutions[name].standard_error for name in study.guards}
    narrow = {name: need - study.guards[name] for name, need in needed.items() if need > study.guards[name]}
    if narrow:
        better = ", ".join(f"{name} {lacks:+.2f}" for name, lacks in narrow.items())
        lines.append(
            f"A guard with so narrow a margin holds only for a candidate measured as much better as: {better}."
        )
    return lines


def _budget(study: Study, history: ProbeHistory) -> list[tuple[str, str]]:
    """How many decisions fit: as many as here so far, or at most as many as screening alone allows."""
    budget = study.file.budget
    rows: list[tuple[str, str]] = []
    if budget.decisions is not None:
        rows.append(("budget", f"{count(budget.decisions, 'decision')}{_probes(budget.decisions, history)}"))
    if budget.probes is not None:
        rows.append(("budget", f"{budget.probes} probes: {_decisions(budget.probes, study, history)}"))
    if budget.hours is not None:
        hours = f"{budget.hours:g} hours"
        if history.pace:
            hours += f": {_decisions(budget.hours * 3600 / history.pace, study, history)} at this pace"
        rows.append(("budget", hours))
    if budget.dollars is not None or budget.dollars_per_hour:
        rows.append(("dollars", _dollars(study, history)))
    return rows


def _probes(decisions: int, history: ProbeHistory) -> str:
    each = history.probes_per_decision
    return "" if each is None else f": about {decisions * each:.0f} probes, as many each as here so far"


def _decisions(probes: float, study: Study, history: ProbeHistory) -> str:
    each = history.probes_per_decision
    if each is not None:
        return f"about {int(probes / each)} decisions, of {each:.1f} probes each as here so far"
    beside = len(study.file.probe.seeds) + 2 * study.file.policy.holdout_seeds
    most = max(0, int((probes - beside) / study.file.policy.first_seeds))
    return f"at most {most} decisions, fewer where candidates are confirmed"


def _dollars(study: Study, history: ProbeHistory) -> str:
    budget = study.file.budget
    limit = "" if budget.dollars is None else f"${budget.dollars:g} at most; "
    if not budget.dollars_per_hour:
        return f"{limit}machine time is not priced (dollars_per_hour under [budget])"
    priced = f"{limit}${budget.dollars_per_hour:g} per active hour"
    if not history.pace or history.probes_per_decision is None:
        return priced
    each = history.pace / 3600 * budget.dollars_per_hour
    cost = f"{priced} = ${each * history.probes_per_decision:.4g} per decision, the proposer's tokens not counted"
    return cost if budget.dollars is None else f"{cost}: {_decisions(budget.dollars / each, study, history)}"
