"""The rules scorer: regular expressions and counters on an answer's text. It needs no model.

Its rules are in a TOML file of the study (see ruleset.py). The score is ten times the weighted mean of the rules'
marks, capped by a broken critical rule.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from common.errors import BadInput
from common.wording import nearest
from probes.inputs.prompts import Prompt
from probes.inputs.settings import ScorerSettings
from probes.scoring.protocol import Answer, Context, Mark, Missing
from probes.scoring.rules.ruleset import Rule, RuleResult, Text, load_rules


class RulesSettings(ScorerSettings):
    """``[scorer] kind = "rules"``: patterns and counts, without a model."""

    kind: str = "rules"
    rules: str = "rules.toml"
    """The TOML file of rules, relative to the study's folder."""


class RulesScorer:
    """Components are the rules by name, 0 to 10. The outcome word is OK, the name of the first broken critical rule, or
    EMPTY for an answer without a word, which scores 0."""

    kind: ClassVar[str] = "rules"
    Settings: ClassVar[type[ScorerSettings]] = RulesSettings

    def __init__(self, settings: RulesSettings, folder: Path = Path()) -> None:
        self._rules = load_rules(folder / settings.rules)

    @property
    def about(self) -> str:
        return f"rules: {len(self._rules)}, the first of them {self._rules[0].name}"

    @staticmethod
    def examiner(settings: ScorerSettings, folder: Path) -> None:
        """None: this scorer cannot change."""

    @staticmethod
    def files(settings: RulesSettings, folder: Path) -> Sequence[Path]:
        return (folder / settings.rules,)

    @staticmethod
    def check(settings: RulesSettings, folder: Path, prompts: Sequence[Prompt]) -> None:
        """BadInput for an invalid rules file, and for a category that no rule scores."""
        path = folder / settings.rules
        rules = load_rules(path)
        measured = sorted({prompt.category for prompt in prompts})
        for rule in rules:
            for category in rule.categories:
                if category not in measured:
                    raise BadInput(
                        f"{path}, rule {rule.name!r} is for the category {category!r}, which no probe prompt has"
                        f"{nearest(category, measured)}"
                    )
        for category in measured:
            if not sum(rule.weight for rule in rules if rule.applies(category)):
                raise BadInput(
                    f"{path}: no rule with a weight above 0 applies to the category {category!r}, so its answers would "
                    "have no score; add one, or leave the categories of a rule out"
                )

    def score(self, answers: Sequence[Answer], context: Context | None = None) -> list[Mark | Missing]:
        return [self._mark(answer) for answer in answers]

    def close(self) -> None:
        """Nothing is held open."""

    def _mark(self, answer: Answer) -> Mark | Missing:
        rules, text = [rule for rule in self._rules if rule.applies(answer.prompt.category)], Text.of(answer.text)
        if not sum(rule.weight for rule in rules):
            return Missing(f"no rule applies to the category {answer.prompt.category!r}")
        if not text.words:
            return Mark(0.0, {rule.name: 0.0 for rule in rules}, outcome="EMPTY", note="it has no words")
        return weighted_mark([(rule, rule.find(text)) for rule in rules])


def weighted_mark(found: Sequence[tuple[Rule, RuleResult]]) -> Mark:
    """The mark from the results of all rules: ten times their weighted mean, capped by broken critical rules."""
    whole = sum(rule.weight for rule, _ in found)
    value = 10 * sum(rule.weight * finding.mark for rule, finding in found) / whole
    broken = [(rule, finding) for rule, finding in found if rule.critical and finding.mark < 1]
    short = [(rule, finding) for rule, finding in found if finding.mark < 1]
    caps = [rule.cap for rule, _ in broken if rule.cap is not None]
    first = (broken or short)[:1]
    return Mark(
        min(10.0, value, *caps),
        {rule.name: 10 * finding.mark for rule, finding in found},
        critical=tuple(rule.name for rule, _ in broken),
        outcome=broken[0][0].name if broken else "OK",
        note="".join(f"{rule.name}: {finding.note}" for rule, finding in first),
    )
