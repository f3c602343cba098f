"""The report's sections about the session as a whole: its question, its search, its noise, its cost, how to go on."""

import math

from probes.comparison import OVERALL
from view.breakdown import breakdown_markdown
from view.figures import Figures, KnobSearch
from view.judging import judging_markdown
from view.markdown import code, count, dollars, duration, fenced, table, text
from view.phrases import next_command

MOST_OUTCOMES = 12
MOST_FLIPPED = 3


def how_to_read(figures: Figures) -> list[str]:
    """The level, what it covers, how often it was used, and how often chance alone would have said KEEP."""
    question, percent = figures.question, f"{figures.question.confidence * 100:g} %"
    chance = (1 - question.confidence) / 2
    above = f"{question.smallest_effect:g}" if question.smallest_effect else "0"
    lines = [
        "## How to read the figures",
        "",
        f"Scores run from 0 to 10. A change is candidate minus incumbent, paired by prompt and training seed, with its "
        f"{percent} interval; the interval covers the prompts, the training seeds and the sampling. KEEP needs the "
        f"target's whole interval above {above} and every guard's above minus its margin.",
        "",
    ]
    if not figures.compared:
        return [*lines, "No decision was made at this level in this session."]
    lines.append(
        f"{count(figures.compared, 'decision')} {'was' if figures.compared == 1 else 'were'} made at this level and "
        f"the intervals are not corrected for their number. If no change helped at all, chance alone would give a KEEP "
        f"in nominally {chance * 100:.3g} % of them, {figures.expected_false_keeps:.2g} on average in a session like "
        "this. In simulations of a nominal 2.5 % it came to 1.6 to 3.4 % with three training seeds and 0.9 to 5.3 % "
        "with two (python -m bench.intervals)."
    )
    return lines


def question(figures: Figures) -> list[str]:
    asked = figures.question
    guards = ", ".join(f"{code(name)} may lose at most {margin:g}" for name, margin in asked.guards.items())
    prompts = ", ".join(f"{text(name)} {number}" for name, number in asked.prompts.items() if name != OVERALL)
    rows = [
        ("target", code(asked.target)),
        ("guards", guards or "none"),
        ("base model", code(asked.base_model)),
        ("starting recipe", code(asked.start)),
        ("training steps per probe", str(asked.steps)),
        ("training seeds", ", ".join(map(str, asked.seeds))),
        ("answers per prompt", str(asked.samples)),
        ("prompts", prompts or "not known: no reading is left"),
    ]
    return ["## The question", "", *table(("what", "value"), rows)]


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
        "## The noise", "",
        "The starting recipe, trained with different seeds and otherwise the same; the standard deviation is that "
        "between seeds.", "", *table(headings, rows, right=range(1, len(headings))),
    ]  # fmt: skip
    lines += [*_sources(figures), *_by_difficulty(figures)]
    if figures.half_width is not None:
        needed = figures.half_width + figures.question.smallest_effect
        lines += [
            "",
            f"Half the width of the target's interval was {figures.half_width:.2f} (median of "
            f"{count(figures.compared, 'decision')}). A true improvement of {needed:.2f} had an even chance of passing "
            "the target's part of the rule; the guards come on top. "
            "More seeds and more prompts narrow the interval; more answers per prompt narrow only the sampling's part.",
        ]
    return lines


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
        "Training seeds share an answer's random numbers, so more of them narrow only a part of what answers add. "
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


def judge(figures: Figures) -> list[str]:
    return judging_markdown(figures.judging)


def outcomes(figures: Figures) -> list[str]:
    """How answers ended before and after, by the scorer's word; what flipped, where the scorer says what passes."""
    if figures.breakdown is not None:
        sides = ("starting recipe", "incumbent now")
        return breakdown_markdown(figures.breakdown, sides, MOST_FLIPPED, "runs/probe-*/answers.jsonl")
    if not figures.outcomes:
        return []
    words = list(dict.fromkeys(word for item in figures.outcomes for word in item.words))
    rows = []
    for word in words[:MOST_OUTCOMES]:
        rows.append((text(word, 40), *(_part(item.words.get(word, 0), item.answers) for item in figures.outcomes)))
    if len(words) > MOST_OUTCOMES:
        rest = [sum(item.words.get(word, 0) for word in words[MOST_OUTCOMES:]) for item in figures.outcomes]
        others = [_part(number, item.answers) for number, item in zip(rest, figures.outcomes, strict=True)]
        rows.append((f"{len(words) - MOST_OUTCOMES} others", *others))
    names = ["starting recipe", "incumbent now"][: len(figures.outcomes)]
    return [
        "## How answers ended", "", "Answers of all seeds and categories, by the scorer's word.", "",
        *table(("outcome", *names), rows, right=range(1, len(names) + 1)),
    ]  # fmt: skip


def _part(number: int, whole: int) -> str:
    return f"{number} ({number / whole:.1%})"


def searched(figures: Figures) -> list[str]:
    """Moves tried of those legal, per lane and knob, and who proposed."""
    rows = []
    for lane in figures.searched:
        tried = sum(knob.tried for knob in lane.knobs)
        share = "" if lane.share_achieved is None else f"{lane.share_achieved:.0%}"
        knobs = ", ".join(map(_tried, sorted(lane.knobs, key=lambda knob: -knob.tried)))
        rows.append((text(lane.lane), f"{lane.share_asked:.0%}", share, str(tried), knobs))
    lines = [
        "## What was searched", "",
        "Per knob: moves tried of those legal from the recipes that stood in this session.", "",
        *table(("lane", "share asked", "share", "tried", "knobs"), rows, right=(1, 2, 3)),
    ]  # fmt: skip
    if figures.proposers:
        who = [
            (text(item.proposer), str(item.proposed), str(item.kept), str(item.discarded), str(item.crashed))
            for item in figures.proposers
        ]
        lines += ["", *table(("proposer", "proposed", "kept", "discarded", "crashed"), who, right=(1, 2, 3, 4))]
    return lines


def _tried(knob: KnobSearch) -> str:
    return f"{code(knob.knob)} {knob.tried} of {knob.legal}"


def cost(figures: Figures) -> list[str]:
    spent = figures.cost
    rows = [
        ("active time", duration(spent.active)),
        ("probes run", f"{spent.probes} ({spent.probes - spent.readings} without a reading)"),
    ]
    if spent.borrowed:
        rows.append(("probes found measured", f"{spent.borrowed}, by earlier sessions"))
    if spent.other_share is not None:
        for name, seconds in (("training", spent.train), ("generation", spent.generate), ("scoring", spent.score)):
            rows.append((name, f"{duration(seconds)} ({seconds / spent.total:.1%} of probe time)"))
        other = max(0.0, spent.other_share)
        rows.append(("outside these three", f"{duration(other * spent.total)} ({other:.1%} of probe time)"))
    if spent.seconds_per_probe is not None:
        rows.append(("per probe", duration(spent.seconds_per_probe)))
    if spent.tokens_per_second is not None:
        rows.append(("training tokens per second", f"{spent.tokens_per_second:,.0f}"))
    if spent.peak_gb:
        rows.append(("peak memory", f"{spent.peak_gb:.1f} GB"))
    rows.append(
        ("cost", "no price under [budget], [proposer] or [scorer]" if spent.dollars is None else dollars(spent.dollars))
    )
    rows.append(("budget left", figures.budget_left))
    return ["## Time and cost", "", *table(("what", "value"), rows)]


def go_on(figures: Figures) -> list[str]:
    """The exact commands, to be typed in the workspace."""
    folder = f"runs/session-{figures.session}"
    lines = ["## Go on", "", "In the folder that holds `results.tsv`:", ""]
    says = "begins a new session with what stands" if figures.state == "finished" else "goes on where it stands"
    commands = [
        (next_command(figures), "what it has done by now" if figures.state == "running" else says),
        (f"nightlane status {figures.session}", "what stands and what is left"),
        (f"nightlane report {figures.session}", "writes and prints this report again"),
    ]
    width = max(len(command) for command, _ in commands)
    lines += fenced([f"{command:<{width}}  # {says}" for command, says in commands])
    lines += ["", f"The recipe that stands is {code(figures.incumbent)}, in {code(f'{folder}/recipe.toml')}."]
    if (figures.finish_reason or "").startswith("no untried move"):
        lines += ["", "Every legal move was tried: widen a knob under `[lanes]` in the study before the next session."]
    if figures.baseline_failure:
        lines += ["", "Mend the starting recipe, or the machine if that is at fault, before the next session."]
    return lines
