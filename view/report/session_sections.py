"""The report's sections about the session as a whole: its question, its search, its cost, how to go on."""

from probes.result.comparison import OVERALL
from view.data.figures import Figures, KnobSearch
from view.report.breakdown import breakdown_markdown
from view.report.harvest_section import harvest_markdown
from view.report.judge_section import judging_markdown
from view.report.markdown import code, dollars, duration, fenced, table, text
from view.report.phrases import next_command

MOST_OUTCOMES = 12
MOST_FLIPPED = 3


def how_to_read(figures: Figures) -> list[str]:
    """What an interval is, what KEEP needs, and how often a night without any improvement would end with one."""
    rule = figures.rule
    percent, above = f"{rule.confidence * 100:g} %", f"{rule.smallest_effect:g}" if rule.smallest_effect else "0"
    lines = [
        "## How to read the figures",
        "",
        f"Scores run from 0 to 10. A change is candidate minus incumbent, paired by prompt and training seed, with its "
        f"{percent} interval; the interval covers the prompts, the training seeds and the sampling.",
        "",
    ]
    if rule.night_error is None:
        return [
            *lines,
            "This session was decided by an older rule: KEEP needed the target's whole interval above "
            f"{above} and every guard's above minus its margin, each decision by itself. Nothing bounds the chance "
            "of a "
            "false KEEP over such a night, and what is reported of a KEEP are the readings that chose it.",
        ]
    return [
        *lines,
        "Intervals are for reading; they do not decide. A candidate is screened over a few pairs of probes, which only "
        f"chooses whom to confirm. A confirmation has up to {rule.confirming_pairs} pairs on seeds that chose nothing, "
        "is looked at after each, and spends a share of the night's error. KEEP needs the target's lower bound at that "
        f"level above {above} and every guard's above minus its margin. So the chance that a night without any real "
        f"improvement ends with a KEEP is at most {rule.night_error * 100:g} %, however many candidates there are; "
        "once "
        f"there is a KEEP, what follows may err with {rule.later_error * 100:g} % until the next. The effect of a "
        "KEEP is "
        'that of its confirmation; "after shrinking" is what to expect of it, drawn towards 0 by how large effects '
        "were "
        "this session.",
        "",
        f"`nightlane explain ID` tells everything about one decision. The policy's digest is {code(rule.digest)}.",
    ]


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
        ("first training seeds", ", ".join(map(str, asked.seeds))),
        ("answers per prompt", str(asked.samples)),
        ("prompts", prompts or "not known: no reading is left"),
        *(("left out", text(told)) for told in asked.left_out),
    ]
    return ["## The question", "", *table(("what", "value"), rows)]


def judge(figures: Figures) -> list[str]:
    return judging_markdown(figures.judging)


def harvest(figures: Figures) -> list[str]:
    return harvest_markdown(figures.harvests)


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
        *((f"nightlane explain {one.id}", "one decision in figures") for one in figures.decisions[-1:]),
    ]
    width = max(len(command) for command, _ in commands)
    lines += fenced([f"{command:<{width}}  # {says}" for command, says in commands])
    lines += ["", f"The recipe that stands is {code(figures.incumbent)}, in {code(f'{folder}/recipe.toml')}."]
    if (figures.finish_reason or "").startswith("no move is left"):
        lines += ["", "Every legal move was tried: widen a knob under `[lanes]` in the study before the next session."]
    if figures.baseline_failure:
        lines += ["", "Mend the starting recipe, or the machine if that is at fault, before the next session."]
    return lines
