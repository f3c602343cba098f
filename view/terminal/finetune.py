"""A full-length run on the terminal: its plan and its progress on stderr, and its result."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from common.printable import print_message
from finetune.manifest import Manifest
from finetune.plan import Plan, Source
from finetune.review import describe_export
from view.markdown import count, plain
from view.terminal.live import Terminal

PROGRESS_LINES = 20
"""Lines of progress that a run prints where there is no terminal."""
MOST_NAMED = 3


def plan_text(plan: Plan) -> str:
    """Which recipe, how many steps, and each source with its review."""
    asked = plan.request
    lines = [
        f"recipe {asked.recipe.digest}: {plain(asked.origin)}",
        f"{count(plan.steps, 'step')} of {count(asked.recipe.effective_batch, 'row')}, seed {asked.seed}",
        *(f"source {plain(source.name, 60)}: {_source(source)}" for source in plan.sources),
    ]
    return "\n".join(lines)


def _source(source: Source) -> str:
    review = source.review
    parts = [f"{count(len(source.pairs), 'row')}, {source.drawn} drawn"]
    if review.record is not None:
        reviewed = "reviewed" if review.reviewed else "not reviewed (--unreviewed)"
        parts.append(f"{describe_export(review.record)}, {reviewed}")
        if review.stale:
            parts.append(f"the {review.record.kind} store holds another set by now")
    if source.left_out:
        parts.append(plain(source.left_out))
    parts += map(plain, source.notes)
    if review.bad:
        more = ", …" if len(review.bad) > MOST_NAMED else ""
        named = f"{', '.join(review.bad[:MOST_NAMED])}{more}"
        parts.append(
            f"{len(review.bad)} judged bad ({named}), which nightlane pairs vote ID drop keeps out of an export"
        )
    return "; ".join(parts)


def manifest_data(manifest: Manifest) -> dict[str, Any]:
    """The content of finetune.json."""
    return asdict(manifest)


@contextmanager
def training(steps: int) -> Iterator[Callable[[int, float], None]]:
    """Progress of a run, called with (step, loss): a bar, or a few lines where there is no terminal."""
    console = Terminal()
    if not console.is_terminal:
        yield lambda step, loss: _line(steps, step, loss)
        return
    with Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
        console=console,
    ) as bars:
        task = bars.add_task("training", total=steps, loss="")
        yield lambda step, loss: bars.update(task, completed=step, loss=f"loss {loss:.3f}")


def _line(steps: int, step: int, loss: float) -> None:
    if step == 1 or step * PROGRESS_LINES // steps > (step - 1) * PROGRESS_LINES // steps:
        print_message(f"step {step} of {steps}, loss {loss:.4f}")
