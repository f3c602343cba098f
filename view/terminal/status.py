"""nightlane status: what a session has done, its incumbent, and the budget left."""

import os
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

from agent.loop.budget import budget_left
from agent.loop.in_flight import read_in_flight
from agent.workspace.folder import Workspace
from probes.result.cut_answers import CutAnswers
from view.data.answers.cut_answers import cut_by_recipe, cut_text, remedy
from view.data.decisions import proposer_counts
from view.data.figures import shown
from view.data.next_commands import resume_command, run_command, status_command
from view.data.search.alpha_spending import policy_of, spendings
from view.data.search.progress import WaveInProgress, in_progress
from view.data.sections.measurements import differences
from view.data.sections.requests import held_by, request_lines
from view.data.session_record import SessionRecord, load_record
from view.markdown import count, duration, moment, plain

MOST_REQUESTS = 5


def session_status(workspace: Workspace, session_id: str | None) -> dict[str, Any]:
    """The status of that session or the latest, as plain JSON values."""
    record = load_record(workspace, session_id)
    session, spent, budget = record.session, record.spent, record.budget
    statuses = Counter(decision.status for decision in (*record.decisions_on_changes, *record.retractions.values()))
    return {
        "session": session.id,
        "study": session.study,
        "state": record.state,
        "process": record.holder,
        "started": session.started,
        "finished": session.finished,
        "finish_reason": session.finish_reason,
        "active_hours": round(spent.hours, 4),
        "decisions": {status: statuses[status] for status in ("KEEP", "DISCARD", "CRASH", "RETRACT")},
        "disguised": len(record.aa_tests),
        "last_decision": _last_decision(record),
        "waves": len(record.waves),
        "recipes": sum(len(wave.recipes) for wave in record.waves),
        "stacks": len(record.stacks),
        "measuring": _measuring(record),
        "running": _running(record, workspace),
        "in_flight": [
            {"id": row.id, "knob": row.knob, "before": row.before, "after": row.after, "proposer": row.proposer}
            for row in record.in_flight
        ],
        "start": session.start,
        "incumbent": record.incumbent.digest,
        "differences": [asdict(difference) for difference in differences(record)],
        "probes": len(record.probes),
        "cut_answers": {name: value for name, value in asdict(cut_by_recipe(record)).items() if name != "session"},
        "proposers": {item.proposer: item.proposed for item in proposer_counts(record)},
        "error_left": _error_left(record),
        "checks": {
            check.kind if not check.subject else check.subject: check.data["verdict"]
            for check in record.checks
            if "verdict" in check.data
        },
        "spent": {name: round(value, 4) for name, value in asdict(spent).items()},
        "budget": budget.model_dump(mode="json"),
        "budget_left": budget_left(budget, spent),
        "held": "" if session.finished else held_by(record.requests),
        "requests": [asdict(one) for one in request_lines(record.requests)],
        "go_on": _command(record, workspace),
    }


def status_text(status: dict[str, Any]) -> str:
    """The same for a terminal."""
    counts = ", ".join(
        f"{number} {name}" for name, number in status["decisions"].items() if number or name != "RETRACT"
    )
    if status["disguised"]:
        counts += f", and {count(status['disguised'], 'A/A test')}"
    left = status["error_left"]
    rows = [
        ("session", f"{status['session']}, study {status['study']}"),
        ("state", _state(status)),
        ("started", f"{moment(status['started'])}, active {status['active_hours']:.2f} hours"),
        ("decisions", counts),
        ("last decision", _last_decision_text(status["last_decision"])),
        ("search", _search(status)),
        *_measuring_rows(status["measuring"]),
        *_running_rows(status["running"]),
        *(("not decided", _move(row)) for row in status["in_flight"] if status["finished"]),
        ("incumbent", status["incumbent"] + ("" if status["differences"] else ", as at the start")),
        *(("", f"{plain(row['knob'])}: {row['before']} -> {row['after']}") for row in status["differences"]),
        ("probes run", str(status["probes"])),
        *_cut_rows(status["cut_answers"]),
        ("proposers", ", ".join(f"{plain(name)} {n}" for name, n in status["proposers"].items()) or "none yet"),
        *([("error left", f"{left['left']:.4f} of {left['budget']:g}")] if left else []),
        *((("checks", _checks(status)),) if status["checks"] else ()),
        ("budget left", status["budget_left"]),
        *_request_rows(status["requests"]),
        ("go on", status["go_on"]),
    ]
    return "\n".join(f"{name:<14} {plain(value)}" for name, value in rows)


def _request_rows(requests: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The last requests of a person, in order."""
    texts = [f"{one['number']} {one['asked']}: {one['answer'] or 'not taken yet'}" for one in requests[-MOST_REQUESTS:]]
    return [("requests" if place == 0 else "", text) for place, text in enumerate(texts)]


def _search(status: dict[str, Any]) -> str:
    waves = f"{count(status['waves'], 'wave')} of {count(status['recipes'], 'recipe')}"
    open_ones = "" if status["finished"] else f", {count(len(status['in_flight']), 'change')} not decided yet"
    return f"{waves}, {count(status['stacks'], 'stack')}{open_ones}"


def _cut_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """How many answers of the starting recipe and of the incumbent were cut, as far as that is known."""
    known = {name: CutAnswers(**found[name]) for name in ("start", "incumbent") if found[name]}
    names, limit = {"start": "starting recipe", "incumbent": "incumbent"}, found["max_new_tokens"]
    rows = [f"{cut_text(one)} of the {names[n]} at max_new_tokens = {limit}{remedy(one)}" for n, one in known.items()]
    return [("" if place else "cut answers", row) for place, row in enumerate(rows)]


def _measuring(record: SessionRecord) -> dict[str, Any] | None:
    """The wave or the stack that is being measured."""
    found = in_progress(record)
    if found is None:
        return None
    return {"kind": "wave" if isinstance(found, WaveInProgress) else "stack", **asdict(found)}


def _measuring_rows(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    if found["kind"] == "wave":
        done = sum(one["state"] != "waiting" for one in found["recipes"])
        head = f"wave {found['number']}: {done} of {count(len(found['recipes']), 'recipe')}"
        return [
            ("measuring", head),
            *(("", f"{one['state']}: {', '.join(one['changes'])}") for one in found["recipes"]),
        ]
    what = "an A/A test" if found["is_aa_test"] else count(len(found["changes"]), "change")
    head = f"stack {found['number']}, {what}: {count(found['pairs'], 'pair')} of at most {found['most_pairs']}"
    return [("measuring", head), *(("", change) for change in found["changes"])]


def _running(record: SessionRecord, workspace: Workspace) -> dict[str, Any] | None:
    """The probes that run now, with the seconds left for each and for the batch, as far as they are known."""
    found = read_in_flight(workspace.session(record.session.id), record.holder)
    if found is None:
        return None
    now = time.time()
    return {
        "title": found.title,
        "done": found.done,
        "waiting": found.waiting,
        "seconds_left": _whole(found.seconds_left(now)),
        "workers": [{**asdict(worker), "doing": worker.doing} for worker in found.workers],
        "probes": [
            {
                "worker": found.worker_of(probe.id),
                **{name: getattr(probe, name) for name in ("id", "seed", "phase", "step", "steps", "loss")},
                "training_seconds_left": _whole(probe.training_left(found.typical, now)),
                "seconds_left": _whole(probe.seconds_left(found.typical, now)),
            }
            for probe in found.probes
        ],
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def _running_rows(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """A line for the batch, one for each probe that runs, and one for each worker that runs none."""
    if found is None:
        return []
    probes = [f"{_worker(one['worker'])}probe {one['id']} seed {one['seed']}: {_phase(one)}" for one in found["probes"]]
    at_work = {one["worker"] for one in found["probes"]}
    others = [f"worker {one['number']} {one['doing']}" for one in found["workers"] if one["number"] not in at_work]
    counts = f"{len(probes)} running, {found['waiting']} waiting, {found['done']} done"
    first = f"{found['title']}: {counts}{_left(found['seconds_left'])}"
    return [("in flight", first), *(("", line) for line in (*probes, *others))]


def _worker(number: int | None) -> str:
    return "" if number is None else f"worker {number}, "


def _phase(probe: dict[str, Any]) -> str:
    """The phase of a probe, its step, and the time left; until a first probe has ended, only that of its training."""
    left = _left(probe["seconds_left"]) or _left(probe["training_seconds_left"], " of training")
    if probe["phase"] != "training":
        return f"{probe['phase']}{left}"
    loss = "" if probe["loss"] is None else f", loss {probe['loss']:.3f}"
    return f"training, step {probe['step']} of {probe['steps']}{loss}{left}"


def _left(seconds: int | None, what: str = "") -> str:
    if seconds is None:
        return ""
    return f", about {f'{seconds} s' if seconds < 60 else duration(seconds)}{what} left"


def _state(status: dict[str, Any]) -> str:
    held = f", {status['held']}" if status["held"] else ""
    if status["state"] == "running":
        return f"running (process {status['process']}){held}"
    if status["state"] == "finished":
        return f"finished {moment(status['finished'])}: {status['finish_reason']}"
    return f"interrupted, can be resumed{held}"


def _error_left(record: SessionRecord) -> dict[str, float] | None:
    """None in an older session, which had no such budget."""
    made = [row for row in record.decisions if row.turn > 0]
    if not made or not any(row.basis for row in made):
        return None
    policy, kept = policy_of(made[-1]), any(row.status == "KEEP" for row in made)
    budget = policy.later_error if kept else policy.night_error
    spent = spendings(record)
    return {"budget": budget, "left": round(spent[-1].after if spent else budget, 6)}


def _checks(status: dict[str, Any]) -> str:
    """The verdicts of the checks at the end: on each KEEP, by its number, and on the holdout."""
    return ", ".join(f"{name.rpartition('-')[2]} {verdict}" for name, verdict in status["checks"].items())


def _last_decision(record: SessionRecord) -> dict[str, Any] | None:
    if not record.decisions:
        return None
    decision, row = record.decisions[-1], record.decisions[-1].row
    names = ("knob", "before", "after", "delta", "ci_low", "ci_high")
    return {
        "id": decision.id,
        "status": decision.status,
        "reason": decision.reason,
        "time": decision.time,
        **{name: row.get(name) for name in names},
    }


def _last_decision_text(last: dict[str, Any] | None) -> str:
    if last is None:
        return "none yet"
    text = f"{last['status']} {last['reason']}"
    if last["knob"] is not None:
        text += f": {_move(last)}"
    if last["delta"] is not None:
        text += f", {last['delta']:+.2f} [{last['ci_low']:+.2f}, {last['ci_high']:+.2f}]"
    return f"{text} ({moment(last['time'])})"


def _move(row: dict[str, Any]) -> str:
    return f"{row['knob']} {shown(row['before'])} -> {shown(row['after'])}"


def _command(record: SessionRecord, workspace: Workspace) -> str:
    """The command to type next, from the current folder."""
    root = str(workspace.root)
    if record.state == "running":
        return status_command(record.session, root)
    if record.state == "interrupted":
        return resume_command(record.session, root)
    return run_command(os.path.normpath(workspace.root / record.session.study_path), root)
