"""What a study costs: counts from its files, and times only from what this workspace has measured. Also the result of
nightlane check as plain JSON values."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from agent.ledger.database.file import holds_sessions
from agent.ledger.store import Ledger
from agent.loop.budget import kept_back
from agent.loop.final_checks import FEWEST_PAIRS as FEWEST_HELD_OUT
from agent.loop.start_or_resume.baseline import repeats
from agent.policy.night import EXTRA, FEWEST_PAIRS, TARGET_FREEDOM, first_size
from agent.policy.night_power import in_words
from agent.study.endpoint_trials import EndpointTrial
from agent.study.load import Study
from agent.study.material_check import CheckedStudy
from agent.study.power import PowerAnalysis, analyse_power
from agent.workspace.folder import Workspace
from probes.memory.fit import Fit
from probes.model.load import data_type
from probes.result.comparison import quantile
from probes.result.cut_answers import CutAnswers, cut_answers
from probes.result.reading import Reading
from probes.run.store import ProbeStore
from view.data.answers.cut_answers import cut_text, remedy
from view.data.next_commands import run_command
from view.markdown import count, plain

LAST_READ = 50
"""The number of latest probes whose cut answers are counted: reading one outcome takes some milliseconds."""
ENOUGH_HELD_OUT = 4
"""The number of holdout pairs that suffices to estimate their noise from themselves."""


@dataclass(frozen=True, slots=True)
class ProbeHistory:
    """Probes that this workspace measured in sessions under the study's question.

    ``seconds``: of each probe that took time. ``pace``: active seconds per probe in the sessions that ran them,
    everything included; below the median of ``seconds`` if probes run side by side. ``cut``: cut answers of the latest
    LAST_READ readings.
    """

    seconds: tuple[float, ...]
    pace: float | None
    cut: CutAnswers | None = None


def cost_text(study: Study, workspace: Workspace, memory: Fit | None = None) -> str:
    """For nightlane check: that the study is valid, what a probe does, and what it is known to cost."""
    history = probe_history(study, workspace)
    lines = [f"{study.path} is valid: study {study.name}, target {study.target}, {_guards(study)}", ""]
    needs = [("memory", memory.sentence), *_slow_type(study, memory.machine.device)] if memory is not None else []
    rows = [*_counts(study), *needs, *_times(history), *_cut_rows(study, history), *_budget(study, history)]
    if not history.seconds:
        rows.append(("to find out", run_command(str(study.path), str(workspace.root)) + " --hours 0.1"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        [*lines, *(f"{name:<{width}}  {value}" for name, value in rows), "", *_power(study, workspace, history)]
    )


def _slow_type(study: Study, device: str) -> list[tuple[str, str]]:
    """A warning if the processor is slow in the data type of the base."""
    native = study.file.model.model_copy(update={"dtype": "native"})
    if device != "cpu" or study.file.model.dtype != "bfloat16" or data_type(native, device) == "bfloat16":
        return []
    return [
        ("data type", 'bfloat16, which this processor is slow in; dtype = "native" under [model] takes float32 here')
    ]


def probe_history(study: Study, workspace: Workspace) -> ProbeHistory:
    """What this workspace's ledger knows about probes of sessions under the study's question."""
    if not holds_sessions(workspace.ledger):
        return ProbeHistory((), None)
    seconds: list[float] = []
    measured: list[str] = []
    active = 0.0
    with Ledger(workspace.ledger, read_only=True) as ledger:
        for session_id in ledger.sessions():
            session = ledger.session(session_id)
            if session is None or session.question != study.question:
                continue
            probes = ledger.probes(session_id)
            measured += [row.id for row in probes if row.kind == "reading"]
            found = [row.seconds for row in probes if row.seconds > 0]
            seconds += found
            active += ledger.active_seconds(session_id) if found else 0.0
    pace = active / len(seconds) if seconds and active else None
    return ProbeHistory(tuple(seconds), pace, _cut(workspace, measured[-LAST_READ:]))


def _cut(workspace: Workspace, probes: Sequence[str]) -> CutAnswers | None:
    store = ProbeStore(workspace.runs)
    outcomes = (store.read(name) for name in dict.fromkeys(probes))
    return cut_answers(outcome for outcome in outcomes if isinstance(outcome, Reading))


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
        *_night(study),
    ]


def _night(study: Study) -> list[tuple[str, str]]:
    """What the probes of a night are for, in their order."""
    policy = study.file.policy
    confirming = f"{2 * FEWEST_PAIRS} to {2 * policy.confirming_seeds} probes, in pairs on fresh seeds"
    what = "a stack of changes that are likely improvements" if policy.confirm == "stack" else "one change at a time"
    return [
        ("at first", f"{count(repeats(study, study.file.budget), 'probe')} of the starting recipe"),
        ("waves", _waves(study)),
        ("confirmation", f"{confirming}, of {what}; planned by what the readings say"),
        ("A/A tests", f"at most {policy.disguised:.0%} of the probes"),
        ("at the end", _end(study)),
        *_harvest(study),
    ]


def _waves(study: Study) -> str:
    knobs, policy, probes = _searched(study), study.file.policy, study.file.budget.probes
    first, whole = knobs + EXTRA, f"{count(knobs, 'knob')} + {EXTRA}"
    if probes is not None:
        left = probes - repeats(study, study.file.budget)
        fitting = first_size(knobs, left, policy.wave)
        first, whole = fitting, whole if fitting == first else f"{whole}, fitted to {count(left, 'probe')}"
    return f"{first} recipes in the first ({whole}), then {policy.wave}; a few more where they fill the workers"


def _end(study: Study) -> str:
    """The checks at the end, and whether probes are kept back for them."""
    probes, budget = 2 * study.file.policy.holdout_seeds, study.file.budget.probes
    if not probes:
        return "nothing (holdout_seeds = 0 under [policy])"
    on_holdout = f"{probes} probes on the holdout" if study.material.prompts_of("holdout") else "no holdout prompts"
    planned = f"{on_holdout}, and up to {probes} for each KEEP"
    if budget is None:
        return f"{planned}, as far as the budget goes"
    if kept_back(probes, budget):
        return f"{planned}; {probes} probes are kept back for them"
    return (
        f"{planned}, but only with probes that the search leaves: none are kept back, since {probes} are more than a "
        f"tenth of {budget} probes"
    )


def _holdout(study: Study, found: PowerAnalysis) -> list[str]:
    """What the holdout comparison can show; nothing if there is none.

    The noise known from the search applies only if the holdout has as many prompts in each category as the probe split;
    otherwise the noise is estimated from the few holdout pairs.
    """
    policy = study.file.policy
    sizes, deciding = (
        Counter(prompt.category for prompt in study.material.prompts_of(split)) for split in ("holdout", "probe")
    )
    if not policy.holdout_seeds or not sizes:
        return []
    pairs = max(FEWEST_HELD_OUT, policy.holdout_seeds)
    freedom = pairs - 1 + (TARGET_FREEDOM + FEWEST_PAIRS - 1 if sizes == deciding else 0.0)
    half = quantile((1 - policy.confidence) / 2, freedom) * found.pairs[study.target] / math.sqrt(pairs)
    told = f"- {count(pairs, 'pair')} on the holdout can show a change of {study.target} by {half:.2f} points"
    if sizes == deciding:
        return [f"{told}, with the noise known from the search."]
    ways = [f"holdout_seeds = {ENOUGH_HELD_OUT}"] if pairs < ENOUGH_HELD_OUT else []
    ways.append("as many holdout prompts as probe prompts in each category")
    return [f"{told}, since its noise is estimated from these pairs alone; {' or '.join(ways)} can show a smaller one."]


def _searched(study: Study) -> int:
    """Knobs that the starting recipe can move."""
    legal = study.lanes.moves(study.start)
    return sum(knob.lane in study.lanes.shares and knob.name in legal for knob in study.lanes.knobs)


def _harvest(study: Study) -> list[tuple[str, str]]:
    """What making pairs costs; nothing if none are made."""
    prompts, harvest = len(study.material.prompts_of("harvest")), study.file.harvest
    if not prompts:
        return []
    adapters = 2 * harvest.seeds
    asked = (
        f"{adapters} adapters x {count(prompts, 'harvest prompt')} x {harvest.samples} = "
        f"{adapters * prompts * harvest.samples} answers"
    )
    return [("harvest", f"{asked} for each stack that shows which recipe is better; nothing is trained for it")]


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


def _cut_rows(study: Study, history: ProbeHistory) -> list[tuple[str, str]]:
    """How often the answers measured here reached their limit; nothing if that is not known."""
    if (found := history.cut) is None:
        return []
    limit = f"max_new_tokens = {study.file.probe.max_new_tokens}"
    return [("cut answers", f"{cut_text(found)} measured here reached {limit}{remedy(found)}")]


def _power(study: Study, workspace: Workspace, history: ProbeHistory) -> list[str]:
    """What a night can show, and the noise of each category that it follows from."""
    found, policy = analyse_power(study, workspace, _probes(study, history)), study.file.policy
    night, roles = found.night, {study.target: "target"}
    roles |= {name: f"guard, may lose {margin:g}" for name, margin in study.guards.items()}
    chances, *doubling = in_words(night)
    lines = [f"What a night can show (noise {found.source}):", f"- {chances}.", *(f"- {line}." for line in doubling)]
    lines.append(f"- Changes that together are worth {night.visible:.2f} points of {study.target} have an even chance.")
    lines += _holdout(study, found)
    width = max(len(name) for name in ("category", *found.pairs))
    lines += ["", f"Noise, and half the width of an interval after {night.pairs} pairs of a confirmation:"]
    lines.append(f"{'category':<{width}}  prompts  noise of a pair  half-width")
    for name, deviation in found.pairs.items():
        figures = f"{deviation:>15.2f}  {found.half_width(name, policy.confidence):>10.2f}"
        lines.append(f"{name:<{width}}  {found.designs[name].prompts:>7}  {figures}  {roles.get(name, '')}".rstrip())
    if study.scorer.chooses:
        lines.append("Decisions rest on choices: an effect is 10 x (share of answers won minus share lost).")
    lost = {name: found.lost(name, policy.guard_error) for name in study.guards}
    narrow = {name: loss - study.guards[name] for name, loss in lost.items() if loss > study.guards[name]}
    if narrow:
        better = ", ".join(f"{name} {lacks:+.2f}" for name, lacks in narrow.items())
        lines += [
            "",
            "With the pairs of a confirmation alone, a guard with so narrow a margin holds only if its measured change "
            f"is above: {better}.",
        ]
    return lines


def _probes(study: Study, history: ProbeHistory) -> float | None:
    """The number of probes that the hours allow at the pace measured here, if the budget sets no number."""
    budget = study.file.budget
    if budget.probes is not None or not history.pace:
        return None
    limits = [] if budget.hours is None else [budget.hours * 3600 / history.pace]
    if budget.dollars is not None and budget.dollars_per_hour:
        limits.append(budget.dollars / budget.dollars_per_hour * 3600 / history.pace)
    return min(limits, default=math.inf)


def _budget(study: Study, history: ProbeHistory) -> list[tuple[str, str]]:
    """The limits, with the probes and the time that they allow."""
    budget, pace = study.file.budget, history.pace
    rows: list[tuple[str, str]] = []
    if budget.decisions is not None:
        rows.append(("budget", f"{count(budget.decisions, 'change')} to decide on"))
    if budget.probes is not None:
        takes = f": about {budget.probes * pace / 3600:.1f} hours at this pace" if pace else ""
        rows.append(("budget", f"{budget.probes} probes{takes}"))
    if budget.hours is not None:
        fits = f": about {int(budget.hours * 3600 / pace)} probes at this pace" if pace else ""
        rows.append(("budget", f"{budget.hours:g} hours{fits}"))
    if budget.dollars is not None or budget.dollars_per_hour:
        rows.append(("dollars", _dollars(study, history)))
    return rows


def _dollars(study: Study, history: ProbeHistory) -> str:
    budget = study.file.budget
    limit = "" if budget.dollars is None else f"${budget.dollars:g} at most; "
    if not budget.dollars_per_hour:
        return f"{limit}machine time is not priced (dollars_per_hour under [budget])"
    priced = f"{limit}${budget.dollars_per_hour:g} per active hour"
    if not history.pace:
        return priced
    each = history.pace / 3600 * budget.dollars_per_hour
    cost = f"{priced} = ${each:.4g} per probe, the proposer's tokens not counted"
    return cost if budget.dollars is None else f"{cost}: about {int(budget.dollars / each)} probes"


def check_data(
    checked: CheckedStudy, workspace: Workspace, memory: Fit | None, trials: Sequence[EndpointTrial]
) -> dict[str, Any]:
    study, material, lanes = checked.study, checked.study.material, checked.study.lanes
    seconds = probe_history(study, workspace).seconds
    return {
        "study": study.name,
        "file": str(study.path),
        "target": study.target,
        "guards": dict(study.guards),
        "probe_prompts": dict(sorted(Counter(prompt.category for prompt in material.probe_prompts).items())),
        "rows": {name: len(rows) for name, rows in material.sources.items()},
        "left_out": list(material.left_out),
        "legal_moves": {lane: sum(map(len, lanes.moves(study.start, lane).values())) for lane in lanes.shares},
        "rendered": checked.renderer is not None,
        "cut_rows": {name: counts.cut for name, counts in checked.counts.items()},
        "longest_rows": {name: counts.longest for name, counts in checked.counts.items()},
        "memory": memory.sentence if memory is not None else None,
        "seconds_per_probe": round(median(seconds), 3) if seconds else None,
        "says": cost_text(study, workspace, memory),
        "endpoints": [{**asdict(one.trial), "required": one.required} for one in trials],
    }
