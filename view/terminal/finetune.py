"""A full-length run on the terminal: its plan and its progress on stderr, and its result."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from common.printable import print_message
from finetune.manifest import NAME, Manifest
from finetune.memory import needed, where
from finetune.plan import TrainingPlan
from finetune.review import describe_export
from finetune.sources import TrainedSource
from finetune.watch.spot_check import spot_prompts
from probes.memory.fit import parts
from view.markdown import count, plain
from view.terminal.live import Terminal

PROGRESS_LINES = 20
"""The number of progress lines that a run prints if there is no terminal."""
MOST_NAMED = 3


def plan_text(plan: TrainingPlan) -> str:
    """Which recipe, how many steps, and each source with its review."""
    asked = plan.request
    lines = [
        f"recipe {asked.recipe.digest}: {plain(asked.origin)}",
        f"{count(plan.steps, 'step')} of {count(asked.recipe.effective_batch, 'row')}, seed {asked.seed}",
        *(f"source {plain(source.name, 60)}: {_source(source)}" for source in plan.sources),
        f"objective {asked.trains}; a checkpoint every {count(plan.save_every, 'step')}; {_spot_check(plan)}",
    ]
    if plan.room is not None:
        found = plan.room
        lines.append(
            f"memory: about {found.start.peak:.1f} GiB at its peak ({parts(found.start)}); {needed(found):.1f} of "
            f"{found.machine.room:.1f} GiB of {where(found.machine)}"
        )
    return "\n".join(lines)


def _source(source: TrainedSource) -> str:
    review = source.review
    parts = [f"{count(len(source.pairs), 'row')}, {source.drawn} drawn"]
    if review.stored:
        parts.append("reviewed" if review.reviewed else "not reviewed (--unreviewed)")
    if review.record is not None:
        reviewed = "reviewed" if review.reviewed else "not reviewed (--unreviewed)"
        parts.append(f"{describe_export(review.record)}, {reviewed}")
        if review.stale:
            parts.append(f"the {review.record.kind} store has changed since")
    if source.left_out:
        parts.append(plain(source.left_out))
    parts += map(plain, source.notes)
    if review.bad:
        more = ", …" if len(review.bad) > MOST_NAMED else ""
        named = f"{', '.join(review.bad[:MOST_NAMED])}{more}"
        parts.append(
            f"{len(review.bad)} judged bad ({named}); nightlane pairs vote ID drop keeps them out of an export"
        )
    return "; ".join(parts)


def _spot_check(plan: TrainingPlan) -> str:
    asked = plan.request
    prompts = len(spot_prompts(asked.material, asked.spot_check))
    if asked.objective == "reward":
        return "no spot checks, since a reward model does not answer"
    if not prompts:
        return "no spot checks, so answers that collapse are not noticed"
    return f"{count(prompts, 'holdout prompt')} answered and scored at each"


def manifest_data(manifest: Manifest) -> dict[str, Any]:
    """The content of finetune.json."""
    return json.loads(json.dumps(asdict(manifest)))  # type: ignore[no-any-return]


def read_summary(folder: Path) -> dict[str, Any]:
    """The content of finetune.json in a run's folder, without its own digest."""
    found: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    found.pop("sha256", None)
    return found


def summary_text(manifest: Manifest) -> str:
    """How a run ended."""
    done = f"{manifest.done} of {count(manifest.steps, 'step')}"
    reason = f" ({plain(manifest.why)})" if manifest.why else ""
    accuracy = manifest.final.get("token_accuracy")
    figures = [f"loss {manifest.final['loss']:.4f}"] if "loss" in manifest.final else []
    figures += [f"token accuracy {accuracy:.3f}"] if accuracy is not None else []
    checks = [(step, mean) for step, mean in manifest.spot_checks.items() if mean is not None]
    if checks:
        figures.append(f"spot check {checks[0][1]:.2f} of the base, {checks[-1][1]:.2f} at step {checks[-1][0]}")
    return (
        f"{manifest.status}: {done}{reason}, {manifest.epochs:.2f} epochs, {'; '.join(figures)}; "
        f"{manifest.seconds:.0f} s of training, {manifest.wall_seconds:.0f} s in all; data {manifest.data}"
    )


@contextmanager
def training(steps: int) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Progress of a run, called with each line of its curve: a bar, or a few lines where there is no terminal."""
    console = Terminal()
    if not console.is_terminal:
        yield lambda line: _line(steps, line)
        return
    with Progress(
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[shown]}"), console=console
    ) as bars:
        task = bars.add_task("training", total=steps, shown="")
        yield lambda line: bars.update(task, completed=line["step"], shown=_figures(line))


def _line(steps: int, line: Mapping[str, Any]) -> None:
    step = line["step"]
    if step == 1 or step * PROGRESS_LINES // steps > (step - 1) * PROGRESS_LINES // steps:
        print_message(f"step {step} of {steps}, {_figures(line)}")


def _figures(line: Mapping[str, Any]) -> str:
    """The figures of a step for a person."""
    shown = [
        ("loss", "loss {:.4f}"),
        ("token_accuracy", "token accuracy {:.3f}"),
        ("tokens_per_second", "{:.0f} tokens/s"),
        ("memory_gb", "{:.1f} GiB"),
    ]
    parts = [text.format(line[name]) for name, text in shown if line.get(name) is not None]
    if (left := line.get("seconds_left")) is not None:
        parts.append(f"{timedelta(seconds=round(left))} left")
    return ", ".join(parts)
