"""The report's section about the noise: what the session can resolve, where the noise comes from, levels measured."""

import math

from view.data.figures import Figures
from view.report.markdown import code, count, table, text


def noise(figures: Figures) -> list[str]:
    if not figures.noise:
        return []
    seeds = list(figures.noise[0].by_seed)
    rows = [
        (
            text(item.category), str(item.prompts), *(f"{item.by_seed[seed]:.2f}" for seed in seeds),
            f"{item.mean:.2f}", "" if item.deviation is None else f"{item.deviation:.2f}",
        )
        for item in figures.noise
    ]  # fmt: skip
    headings = ("category", "prompts", *(f"seed {seed}" for seed in seeds), "mean", "deviation")
    lines = [
        "## Noise floor", "", *_resolved(figures),
        "The starting recipe, trained with different seeds and otherwise the same; the standard deviation is that "
        "between seeds.", "", *table(headings, rows, right=range(1, len(headings))),
    ]  # fmt: skip
    lines += [*_sources(figures), *_by_difficulty(figures)]
    return lines


def _resolved(figures: Figures) -> list[str]:
    """What the session can resolve, what it chose, and why."""
    target, floor = code(figures.question.target), figures.floor
    if floor is None:
        if figures.visible is None:
            return []
        return [
            f"A true improvement of {figures.visible:.2f} in {target} had an even chance of passing the target's "
            "part of "
            "the rule; the guards come on top.", "",
        ]  # fmt: skip
    samples, pairs = (part.strip() for part in floor.why.split(";", 1)) if ";" in floor.why else (floor.why, "")
    lines = [
        f"- A true improvement of **{floor.visible:.2f}** in {target} has an even chance to be confirmed, if pairing "
        "by "
        "seed buys nothing; the guards come on top.",
        f"- {text(samples[:1].upper() + samples[1:])}.",
    ]
    return [*lines, *([f"- {text(pairs[:1].upper() + pairs[1:])}."] if pairs else []), ""]


RAISED = {
    "training seed": "seeds", "prompt by seed": "prompts in the target", "answer": "samples", "judgement": "passes",
}  # fmt: skip


def _sources(figures: Figures) -> list[str]:
    """What the noise consists of, and what one more of each would buy."""
    found = figures.sources
    if found is None:
        return []
    deviations = {
        "training seed": found.seed, "prompt by seed": found.prompt_by_seed, "answer": found.answer,
        "judgement": found.judgement,
    }  # fmt: skip
    drawn = {
        "training seed": found.seeds, "prompt by seed": found.prompts, "answer": found.samples,
        "judgement": found.passes,
    }  # fmt: skip
    whole, more = sum(found.parts.values()), found.with_one_more()
    rows = [
        (
            name, f"{deviation:.2f}", f"{found.parts[name] / whole:.0%}" if whole else "", str(drawn[name]),
            RAISED[name], "" if math.isnan(more[name]) else f"{more[name]:.3f}",
        )
        for name, deviation in deviations.items()
        if deviation is not None and (name != "answer" or found.samples > 1)
    ]  # fmt: skip
    headings = ("source", "deviation", "share", "drawn", "raised by", "standard error with one more")
    return [
        "",
        f"The standard error of this recipe's mean in {code(figures.question.target)} is {found.standard_error:.3f}. "
        "Where it comes from, and what one more of each would make of it:", "",
        *table(headings, rows, right=(1, 2, 3, 5)), "",
        "Between two recipes a part of all this cancels: they share seeds, prompts and random numbers, and "
        "equal answers are judged once.",
    ]  # fmt: skip


def _by_difficulty(figures: Figures) -> list[str]:
    """Category by difficulty of the starting recipe and the incumbent; critical failures and missing scores."""
    names = ["starting recipe", "incumbent now"][: len(figures.profiles)]
    lines = [
        f"{name[:1].upper()}{name[1:]}: {count(item.critical, 'critical failure')} and "
        f"{count(item.missing, 'answer')} without a score, of {item.answers} answers."
        for name, item in zip(names, figures.profiles, strict=True)
    ]
    levels = [{(level.category, level.difficulty): level for level in item.levels} for item in figures.profiles]
    rows = []
    for category, difficulty in sorted({group for own in levels for group in own}):
        found = [own.get((category, difficulty)) for own in levels]
        prompts = max(level.prompts for level in found if level)
        rows.append((text(category), str(difficulty), str(prompts), *(f"{i.mean:.2f}" if i else "" for i in found)))
    if lines and not rows:
        lines.append("Means by difficulty are left out: the study's prompts file is gone or holds other prompts.")
    if rows:
        lines += ["", *table(("category", "difficulty", "prompts", *names), rows, right=range(1, len(names) + 3))]
    return ["", *lines] if lines else []
