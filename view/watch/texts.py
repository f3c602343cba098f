"""The texts of nightlane watch, as Rich texts. Nothing in them acts as markup: texts of models appear as written."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from common.printable import printable
from common.redaction import redacted
from probes.run.protocol import WorkerStatus
from view.data.changes import reach
from view.data.figures import shown
from view.data.listing.decisions import DecisionLine
from view.data.listing.live import LiveBatch, LiveProbe
from view.data.listing.sessions import SessionNow
from view.markdown import bar, chance, count, duration, moment, signed
from view.terminal.live import STYLES

WIDE = 110
"""Columns from which tables show more."""
STATES = {"running": "bold green", "finished": "bold cyan", "interrupted": "bold yellow"}
PROBE_COLUMNS = ("worker", "probe", "seed", "phase", "step", "loss", "time left")
DECISION_COLUMNS = ("id", "decision", "change", "effect [interval]")
WIDE_DECISION_COLUMNS = (*DECISION_COLUMNS, "", "chance", "why")
TableRow = tuple[Text, ...]


def plain_text(text: object, style: str = "") -> Text:
    """One line of text, without secrets and with control characters written out."""
    return Text(redacted(printable(" ".join(str(text).split()))), style)


def head(now: SessionNow) -> Text:
    """The session, what it decided, and the budget left."""
    session = now.session
    counts = f"{session.decisions['KEEP']} kept of {count(session.total, 'decision')}"
    for status, word in (("CRASH", "crashed"), ("RETRACT", "retracted")):
        counts += f", {session.decisions[status]} {word}" if session.decisions[status] else ""
    state, style = session.state.upper(), STATES[session.state]
    first = [plain_text(session.id, "bold"), Text(state, style), plain_text(session.study), plain_text(counts, "bold")]
    active = f"started {moment(session.started)}, active {duration(session.active_hours * 3600)}"
    process = f"process {session.holder}" if session.holder else ""
    lines = [Text("  ").join(first), Text(", ".join(part for part in (active, process) if part), "dim")]
    return Text("\n").join([*lines, _budget(now)])


def _budget(now: SessionNow) -> Text:
    """A bar for the limit that is nearest, and what is left of every limit."""
    text = Text("budget left  ")
    if now.live.used:
        nearest = max(now.live.used, key=lambda one: one.share)
        text.append_text(gauge(1 - nearest.share, 12)).append("  ")
    return text.append_text(plain_text(now.live.budget_left))


def gauge(share: float, width: int) -> Text:
    full = round(max(0.0, min(1.0, share)) * width)
    return Text.assemble(("━" * full, "bold green"), ("━" * (width - full), "dim"))


def ending(now: SessionNow, result: Sequence[str]) -> Text | None:
    """The state of a session that measures nothing now: its result and the next command; None while it measures."""
    session = now.session
    if session.state == "running":
        asked = [f"Request {one.number} waits: {one.asked}." for one in now.live.waiting]
        if now.live.held:
            return _lines(f"{now.live.held[:1].upper()}{now.live.held[1:]}.", *asked)
        if now.live.batch:
            return Text("\n").join(map(plain_text, asked)) if asked else None
        return Text("\n").join([Text("Between two batches of probes.", "dim"), *map(plain_text, asked)])
    if session.state == "interrupted":
        return _lines("It was interrupted; no decision is lost.", f"To go on: {now.go_on}")
    finished = f"Finished {moment(session.finished or '')}: {session.finish_reason}."
    return _lines(finished, *result, f"To search on from what stands: {now.go_on}")


def _lines(first: str, *others: str) -> Text:
    return Text("\n").join([plain_text(first, "bold"), *map(plain_text, others)])


def batch_title(batch: LiveBatch) -> str:
    counts = f"{len(batch.probes)} running, {batch.waiting} waiting, {batch.done} done"
    left = "" if batch.seconds_left is None else f", about {duration(batch.seconds_left)} left"
    return f"{plain_text(batch.title)}: {counts}{left}"


def worker_row(worker: WorkerStatus) -> TableRow:
    """A worker that runs no probe now."""
    nothing = Text()
    return Text(str(worker.number)), nothing, nothing, plain_text(worker.doing, "dim"), nothing, nothing, nothing


def probe_row(probe: LiveProbe, width: int) -> TableRow:
    steps = Text(f"{probe.step} of {probe.steps}")
    if width >= WIDE:
        steps = Text(" ").join([gauge(probe.share, 20), steps])
    left = "" if probe.seconds_left is None else duration(probe.seconds_left)
    loss = "" if probe.loss is None else f"{probe.loss:.3f}"
    worker = Text("" if probe.worker is None else str(probe.worker))
    return worker, plain_text(probe.id), Text(str(probe.seed)), plain_text(probe.phase), steps, Text(loss), Text(left)


def decision_rows(lines: Sequence[DecisionLine], width: int) -> Iterator[TableRow]:
    scale = reach(one.effect for one in lines if one.effect)
    for one in lines:
        row = (
            plain_text(one.number),
            Text(one.status, STYLES.get(one.status, "")),
            plain_text(_change(one)),
            Text(_effect(one)),
        )
        yield (*row, *_more(one, scale)) if width >= WIDE else row


def _change(one: DecisionLine) -> str:
    if one.is_aa_test:
        return "A/A test"
    return f"{one.knob} {shown(one.before)} -> {shown(one.after)}" if one.changes_something else ""


def _effect(one: DecisionLine) -> str:
    effect = one.effect
    return f"{signed(effect.delta)} [{signed(effect.low)}, {signed(effect.high)}]" if effect else ""


def _more(one: DecisionLine, scale: float) -> TableRow:
    effect, why = one.effect, one.reason + (f"; retracted: {one.retracted}" if one.retracted else "")
    line = Text(bar(effect.delta, effect.low, effect.high, scale, 21)) if effect else Text()
    return line, Text("" if one.chance is None else chance(one.chance)), plain_text(why)


def notes(lines: Sequence[tuple[str, str]]) -> Text:
    """The latest first, each with its time of day."""
    return Text("\n").join(Text.assemble((f"{time[11:16]} ", "dim"), plain_text(text)) for time, text in lines)
