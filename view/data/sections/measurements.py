"""What was measured of the starting recipe and of the incumbent: noise, scores by difficulty, outcomes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from common.errors import BadInput
from evaluation.breakdown import Breakdown, break_down
from lanes import Recipe, show
from lanes.mixture import manifest_name
from probes.result.comparison import OVERALL
from probes.result.reading import Reading
from probes.result.variance_components import VarianceComponents, estimate_components
from view.data.answers.pairs import wordings
from view.data.search.replicates import selecting_seeds
from view.data.sections.recipes import (
    AnswerOutcomes,
    CategoryMeans,
    DifficultyLevel,
    KnobDifference,
    Profile,
    RepeatedScores,
)
from view.data.session_record import SessionRecord


def differences(record: SessionRecord) -> tuple[KnobDifference, ...]:
    """How the incumbent differs from the starting recipe."""
    start, incumbent = record.start, record.incumbent
    names = [name for name in Recipe.model_fields if getattr(start, name) != getattr(incumbent, name)]
    return tuple(KnobDifference(name, _field(record, start, name), _field(record, incumbent, name)) for name in names)


def _field(record: SessionRecord, recipe: Recipe, name: str) -> str:
    if name == "filters":
        parts = [
            f"{part}.{source} {show(value)}"
            for source, own in recipe.filters.items()
            for part, value in own.model_dump().items()
        ]
        return ", ".join(parts) or "none"
    if name != "mixture":
        return show(getattr(recipe, name))
    manifest = manifest_name(recipe, record.study.file.data.manifests)
    shares = ", ".join(f"{source} {share:.0%}" for source, share in recipe.shares.items())
    return shares if manifest == "custom" else f"{manifest} ({shares})"


def noise(record: SessionRecord) -> tuple[RepeatedScores, ...]:
    """The spread between the repeats of the starting recipe, per category and overall."""
    readings = record.baseline_readings
    if not readings:
        return ()
    categories = sorted({score.category for score in readings[0].scores})
    found = []
    for category in (*categories, OVERALL):
        means = {str(reading.seed): reading.mean(category) for reading in readings}
        prompts = {score.prompt for score in readings[0].scores if category in (OVERALL, score.category)}
        spread = stdev(means.values()) if len(means) > 1 else None
        found.append(RepeatedScores(category, len(prompts), means, fmean(means.values()), spread))
    return tuple(found)


def noise_sources(record: SessionRecord) -> VarianceComponents | None:
    """The variance components of the starting recipe's repeats in the target; the judge's part comes from its first
    examination. None if scores do not decide."""
    if record.study.scorer.chooses:
        return None
    spread = next((row.data["spread"] for row in record.examinations), None)
    return estimate_components(record.baseline_readings, record.study.target, spread, record.study.scorer.judgements)


def unselected_readings(record: SessionRecord, recipe: str) -> list[Reading]:
    """The readings that show how good a recipe is, without those that selected it."""
    chose = selecting_seeds(record, recipe)
    return [reading for reading in record.readings(recipe) if reading.seed not in chose]


def categories(record: SessionRecord) -> tuple[CategoryMeans, ...]:
    """The starting recipe and the incumbent, over the readings that did not select them; the target comes first."""
    start, incumbent = (
        unselected_readings(record, digest) for digest in (record.session.start, record.incumbent.digest)
    )
    if not start:
        return ()
    target, guards = record.study.target, record.study.guards
    prompts = {score.prompt: score.category for score in start[0].scores}
    sizes, changed = Counter(prompts.values()), incumbent and record.incumbent.digest != record.session.start
    return tuple(
        CategoryMeans(
            category=name,
            role="target" if name == target else "guard" if name in guards else "",
            prompts=sizes[name] if name != OVERALL else len(prompts),
            before=fmean(reading.mean(name) for reading in start),
            after=fmean(reading.mean(name) for reading in incumbent) if changed else None,
        )
        for name in (*sorted(sizes, key=lambda name: (name != target, name not in guards, name)), OVERALL)
    )


def profiles(record: SessionRecord) -> tuple[Profile, ...]:
    """The profile of the starting recipe, and that of the incumbent if it is another recipe."""
    found, difficulties = [], _difficulties(record)
    for digest in _reported_recipes(record):
        readings = unselected_readings(record, digest)
        if readings:
            scored, missing = (
                sum(map(len, own)) for own in zip(*((r.scores, r.missing) for r in readings), strict=True)
            )
            critical = sum(reading.critical_failures for reading in readings)
            found.append(Profile(digest, _levels(readings, difficulties), scored + missing, critical, missing))
    return tuple(found)


def _reported_recipes(record: SessionRecord) -> Sequence[str]:
    return list(dict.fromkeys((record.session.start, record.incumbent.digest)))


def _levels(readings: Sequence[Reading], difficulties: Mapping[str, int]) -> tuple[DifficultyLevel, ...]:
    asked = {(s.prompt, s.category) for reading in readings for s in reading.scores if s.prompt in difficulties}
    prompts = Counter((category, difficulties[prompt]) for prompt, category in asked)
    means = [reading.means(difficulties) for reading in readings]
    return tuple(
        DifficultyLevel(*group, number, fmean(own[group] for own in means if group in own))
        for group, number in sorted(prompts.items())
    )


def _difficulties(record: SessionRecord) -> Mapping[str, int]:
    """The difficulty of each probe prompt; empty if the study's prompts file is gone or broken."""
    try:
        return {prompt.id: prompt.difficulty for prompt in record.study.material.probe_prompts}
    except (BadInput, OSError):
        return {}


def outcomes(record: SessionRecord) -> tuple[AnswerOutcomes, ...]:
    """The outcomes of the starting recipe, and those of the incumbent if it is another recipe."""
    found = []
    for digest in _reported_recipes(record):
        scores = [score for reading in unselected_readings(record, digest) for score in reading.scores]
        words = Counter(score.outcome or "no word" for score in scores)
        critical = Counter(flag for score in scores for flag in score.critical)
        if scores:
            found.append(AnswerOutcomes(digest, len(scores), dict(words.most_common()), dict(critical.most_common())))
    return tuple(found)


def breakdown(record: SessionRecord) -> Breakdown | None:
    """The breakdown from the starting recipe to the incumbent; None if they are one recipe, or if the scorer does not
    mark answers as passed."""
    before, after = (record.answers[digest] for digest in (record.session.start, record.incumbent.digest))
    return break_down(before, after) if before and after and before != after else None


def flipped_prompts(record: SessionRecord, found: Breakdown | None) -> Mapping[str, str]:
    """The texts of the prompts that newly pass or newly fail, by id, as far as they are known."""
    readings = record.readings(record.session.start)
    if found is None or not readings:
        return {}
    asked = wordings(record, readings[0].key.prompts)
    names = [change.problem for change in (*found.newly_passing, *found.newly_failing)]
    return {name: asked[name] for name in names if name in asked}
