"""Plans which rows of a store a study's scorer will score and under which prompts, why other rows are left out, and
what a judge will cost at most. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common.errors import BadInput
from common.wording import nearest
from preferences.store.annotations import AnnotatedRow
from preferences.store.rows import StoreKind
from probes.inputs.files.text import read_jsonl
from probes.inputs.material import Material
from probes.inputs.prompts import Prompt, text_for_people, wording
from probes.inputs.rows.messages import turns_of
from probes.inputs.rows.turns import Turns, plain
from probes.run.answers import scored_text
from probes.scoring import Answer, scorer_digest
from probes.scoring.judge.settings import JudgeSettings

NOT_IN_USE = "not in use: withdrawn, dropped, or no longer certified"
HAS_SCORES = "has scores of its own"
DONE = "scored by this very scorer already"
NO_CHECKS = "its prompt has no checks (entry_point and cases); give them with --prompts FILE"
NEEDS_CHECKS = "execution"
"""The kind of scorer that needs the checks of a prompt."""


@dataclass(frozen=True)
class RowToScore:
    """A row, and its texts as the scorer is given them, in the order in which they were added."""

    row: AnnotatedRow
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class ScoringPlan:
    """``scorer``: its digest. ``left_out``: the number of rows by reason. ``other_categories``: rows that are scored
    under a category that the study does not have, by category."""

    kind: StoreKind
    scorer: str
    rows: tuple[RowToScore, ...]
    left_out: Mapping[str, int]
    other_categories: Mapping[str, int]

    @property
    def answers(self) -> tuple[Answer, ...]:
        return tuple(answer for row in self.rows for answer in row.answers)


@dataclass(frozen=True)
class KnownPrompts:
    """Category and checks of prompts, found by their wording. ``category``: given to rows that ask another prompt and
    whose own category is not among ``categories``; "" leaves them their own."""

    by_wording: Mapping[str, Prompt]
    categories: frozenset[str]
    category: str = ""

    def prompt_of(self, row: AnnotatedRow) -> Prompt:
        """The prompt of a row as a scorer gets it."""
        asked = row.row.prompt
        known = self.by_wording.get(wording(asked).strip())
        if known is not None:
            return known
        category = row.row.category
        if self.category and category not in self.categories:
            category = self.category
        return _prompt(row.id, category, asked)


def known_prompts(material: Material, file: Path | None, category: str) -> KnownPrompts:
    """The harvest prompts of the study, and those of ``file``, which come first: JSON lines with prompt, and checks and
    category where there are some. BadInput for a bad line, and for a category that the study does not have."""
    own = [prompt for prompt in material.all_prompts if prompt.split == "harvest"]
    categories = frozenset(prompt.category for prompt in material.all_prompts)
    if category and category not in categories:
        raise BadInput(f"--category {category!r} is not one of the study's categories{nearest(category, categories)}")
    prompts = [*own, *(_read(file) if file else ())]
    return KnownPrompts({prompt.wording.strip(): prompt for prompt in prompts}, categories, category)


def plan_scoring(kind: StoreKind, rows: Iterable[AnnotatedRow], material: Material, known: KnownPrompts) -> ScoringPlan:
    """The rows in use that lack a score, unless this very scorer has scored them."""
    digest, chosen = scorer_digest(material.scorer, material.folder), list[RowToScore]()
    left_out: Counter[str] = Counter()
    for row in rows:
        prompt = known.prompt_of(row)
        if reason := _reason(row, prompt, digest, material.scorer.kind):
            left_out[reason] += 1
            continue
        texts = (scored_text(material.scorer, "", plain(text)) for text in row.row.texts)
        chosen.append(RowToScore(row, tuple(Answer(prompt, text) for text in texts)))
    asked = Counter(row.answers[0].prompt.category for row in chosen)
    others = {name: number for name, number in asked.items() if name not in known.categories}
    return ScoringPlan(kind, digest, tuple(chosen), dict(left_out), others)


def _reason(row: AnnotatedRow, prompt: Prompt, scorer: str, kind: str) -> str:
    """Why a row is not scored; "" if it is."""
    if not row.used:
        return NOT_IN_USE
    if None not in row.row.scores:
        return HAS_SCORES
    if row.scoring is not None and row.scoring.scorer == scorer:
        return DONE
    return NO_CHECKS if kind == NEEDS_CHECKS and not prompt.checks else ""


def _read(path: Path) -> Iterator[Prompt]:
    for line, row in read_jsonl(path):
        try:
            asked = turns_of("prompt", row.get("prompt"))
            category, checks = row.get("category", "imported"), row.get("checks", {})
            if not (asked and isinstance(category, str) and category and isinstance(checks, dict)):
                raise BadInput("needs a prompt; a category, if it has one, is a text, and checks are an object")
        except BadInput as error:
            raise BadInput(f"{path}, line {line} {error}; mend the row") from None
        yield replace(_prompt(f"{path.name}:{line}", category, asked), checks=checks, line=line)


def _prompt(name: str, category: str, asked: Turns) -> Prompt:
    if isinstance(asked, str):
        return Prompt(name, "imported", category, 1, asked, {})
    return Prompt(name, "imported", category, 1, text_for_people(asked), {}, asked)


def prompts_with_checks(plan: ScoringPlan) -> Sequence[Prompt]:
    """The prompts of the plan, each once."""
    return tuple({answer.prompt.id: answer.prompt for answer in plan.answers}.values())


@dataclass(frozen=True, slots=True)
class JudgingCost:
    """The most that scoring may cost. ``judgements``: questions to the judge; those that it has answered before cost
    nothing. ``dollars``: None if the study names no prices."""

    model: str
    judgements: int
    dollars: float | None


def judging_cost(plan: ScoringPlan, material: Material) -> JudgingCost | None:
    """None for a scorer without a judge. No request is made."""
    settings = material.scorer
    if not isinstance(settings, JudgeSettings):
        return None
    from probes.endpoint.client import Endpoint, EndpointSettings  # the openai client takes a second or more
    from probes.scoring.judge.question import scoring_question
    from probes.scoring.judge.question_kinds import scoring_kind
    from probes.scoring.judge.rubric import load_rubric

    rubric = load_rubric(material.folder / settings.rubric)
    asked, kind = {scoring_question(rubric, one.prompt, one.text) for one in plan.answers}, scoring_kind(rubric)
    judgements = len(asked) * settings.passes
    if not settings.priced:
        return JudgingCost(settings.judge, judgements, None)
    priced = EndpointSettings(
        dollars_per_million_input=settings.dollars_per_million_input,
        dollars_per_million_output=settings.dollars_per_million_output,
    )
    endpoint = Endpoint(priced, settings.judge, {})
    each = (
        endpoint.price_at_most(kind.messages(one), kind.response_format, settings.max_tokens) for one in sorted(asked)
    )
    return JudgingCost(settings.judge, judgements, settings.passes * sum(each))
