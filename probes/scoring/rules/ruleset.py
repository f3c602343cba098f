"""The rules file, a list of ``[[rule]]`` tables, and what each rule finds in a text.

    name, weight      a rule's mark, 0 to 1, counts with its weight; 0 for a critical rule that only caps
    kind              "pattern", "phrases", "words" or "language"; see its class for its keys
    categories        where it applies; without it, in all categories
    critical, cap     a mark below 1 is a critical failure, and the answer scores at most cap

Curly quotes and apostrophes are read as straight ones. Patterns and phrases are searched for in the first ``LONGEST``
characters of an answer, for MATCH_SECONDS at most. A pattern that takes longer, because it backtracks without end,
makes the probe a failure of the scorer that names the rule.
"""

import re
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import regex
from pydantic import Field, ValidationError, model_validator

from common.errors import BadInput
from common.wording import nearest
from probes.inputs.settings import Section
from probes.inputs.toml_file import parse_strict, read_toml
from probes.scoring.protocol import ScorerBroken

LONGEST = 20_000
STRAIGHT = str.maketrans("‘’ʼ“”", "'''\"\"")
WORD = re.compile(r"\w+(?:['-]\w+)*")
FLAGS = {"ignorecase": regex.IGNORECASE, "multiline": regex.MULTILINE}
MATCH_SECONDS = 2.0  # of one pattern in one answer
ENGLISH = """
the of and to a in is that it was for on as with be at by this had not are but from or have an they which one you were
all her she there would their we him been has when who will no more if out so up said what its about than into them can
only other time new some could these two may first then do any my now such like our over me even most after also did
many must before through where how i he his your
"""
STOP_WORDS = {"en": frozenset(ENGLISH.split())}


@dataclass(frozen=True, slots=True)
class Text:
    """An answer as the rules see it."""

    searched: str
    letters: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, answer: str) -> "Text":
        text = answer.translate(STRAIGHT)
        letters = "".join(char for char in text if char.isalpha())
        return cls(text[:LONGEST], letters, tuple(word.lower() for word in WORD.findall(text)))


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule's mark for a text, 0 to 1, and a note for people."""

    mark: float
    note: str = ""


class Rule(Section):
    """What all rules have in common."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    weight: float = Field(ge=0, le=1000)
    categories: tuple[str, ...] = ()
    critical: bool = False
    cap: float | None = Field(None, ge=0, le=10)

    @model_validator(mode="after")
    def _critical_has_a_cap(self) -> "Rule":
        if self.critical != (self.cap is not None):
            raise ValueError("critical = true and cap go together; write both, or neither")
        if self.name == "pass":
            raise ValueError('name = "pass" is the outcome of a program that passes its checks; take another name')
        return self

    def applies(self, category: str) -> bool:
        return not self.categories or category in self.categories

    @abstractmethod
    def find(self, text: Text) -> RuleResult:
        """The result of this rule for a text."""


class CountRule(Rule):
    """How often something occurs, in the whole answer or per 100 words.

    at_most: full marks up to it, falling linearly to none at ``none_from`` (by default twice at_most, or 1 if at_most
    is 0). at_least: full marks from it on, falling linearly to none at 0. With both, the lower mark counts.
    """

    at_most: float | None = Field(None, ge=0)
    at_least: float | None = Field(None, gt=0)
    none_from: float | None = Field(None, gt=0)
    per: Literal["answer", "100 words"] = "answer"

    @model_validator(mode="after")
    def _has_a_bound(self) -> "CountRule":
        if self.at_most is None and self.at_least is None:
            raise ValueError("it has neither at_most nor at_least; add one")
        if self.none_from is not None and (self.at_most is None or self.none_from <= self.at_most):
            raise ValueError("none_from is where the marks above at_most end; make it larger than at_most")
        if None not in (self.at_most, self.at_least) and (self.at_least or 0) > (self.at_most or 0):
            raise ValueError(f"at_least={self.at_least:g} is above at_most={self.at_most:g}; exchange them")
        return self

    @property
    @abstractmethod
    def matcher(self) -> Any:
        """The compiled pattern."""

    def _matches(self, text: str) -> list[Any]:
        try:
            return list(self.matcher.finditer(text, timeout=MATCH_SECONDS, concurrent=True))
        except TimeoutError:
            raise ScorerBroken(
                f"rule {self.name!r} took more than {MATCH_SECONDS:g} s for one answer; write its pattern without a "
                "repetition in a repetition"
            ) from None

    def find(self, text: Text) -> RuleResult:
        found = [match.group() for match in self._matches(text.searched) if match.group()]
        count = float(len(found)) if self.per == "answer" else 100 * len(found) / max(1, len(text.words))
        mark = min(self._below(count), 1.0 if self.at_least is None else min(1.0, count / self.at_least))
        first = f"{' '.join(found[0].split())[:80]!r}, " if found else ""
        return RuleResult(mark, "" if mark == 1 else f"{first}{count:.3g} per {self.per}, {self._asked}")

    def _below(self, count: float) -> float:
        if self.at_most is None or count <= self.at_most:
            return 1.0
        end = self.none_from or 2 * self.at_most or 1.0
        return max(0.0, (end - count) / (end - self.at_most))

    @property
    def _asked(self) -> str:
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        return ", ".join(f"{name} {bound:g}" for name, bound in bounds if bound is not None)


class PatternRule(CountRule):
    """``pattern``: a regular expression of Python's; ``flags``: ignorecase, multiline. Empty matches do not count."""

    kind: Literal["pattern"]
    pattern: str = Field(min_length=1, max_length=2000)
    flags: tuple[Literal["ignorecase", "multiline"], ...] = ()

    @model_validator(mode="after")
    def _compiles(self) -> "PatternRule":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                matcher = self.matcher
        except (regex.error, OverflowError, RecursionError, Warning) as error:
            raise ValueError(f"pattern={self.pattern!r} is no regular expression ({error}); mend it") from None
        if matcher.search(""):
            raise ValueError(f"pattern={self.pattern!r} matches an empty text, so it counts nothing; say what it finds")
        return self

    @cached_property
    def matcher(self) -> Any:
        return regex.compile(self.pattern, sum(FLAGS[flag] for flag in self.flags))


class PhrasesRule(CountRule):
    """``phrases``: literal words in this order, in upper or lower case, with any white space between them."""

    kind: Literal["phrases"]
    phrases: tuple[Annotated[str, Field(pattern=r"\S")], ...] = Field(min_length=1)

    @cached_property
    def matcher(self) -> Any:
        longest_first = sorted((phrase.translate(STRAIGHT).split() for phrase in self.phrases), key=len, reverse=True)
        choices = "|".join(r"\s+".join(map(re.escape, words)) for words in longest_first)
        return regex.compile(rf"(?<!\w)(?:{choices})(?!\w)", regex.IGNORECASE)


class WordsRule(Rule):
    """The answer's length in words: full marks from ``low`` to ``high``; linear down to none at 0 and at twice high."""

    kind: Literal["words"]
    low: int = Field(0, ge=0)
    high: int = Field(ge=1)

    @model_validator(mode="after")
    def _is_a_range(self) -> "WordsRule":
        if self.low > self.high:
            raise ValueError(f"low={self.low} is above high={self.high}; exchange them")
        return self

    def find(self, text: Text) -> RuleResult:
        count = len(text.words)
        if self.low <= count <= self.high:
            return RuleResult(1.0)
        mark = count / self.low if count < self.low else max(0.0, 2 - count / self.high)
        return RuleResult(mark, f"{count} words, {self.low} to {self.high} asked")


class LanguageRule(Rule):
    """A simple measure of the language: the share of words that are among its 100 or so most common ones, and the share
    of letters that are ASCII. Full marks from ``at_least`` and ``ascii_at_least`` on, linear below; the lower counts.

    English prose has a share of 0.4 to 0.6, a text in another language below 0.1. Short texts vary.
    """

    kind: Literal["language"]
    language: Literal["en"] = "en"
    at_least: float = Field(0.2, gt=0, le=1)
    ascii_at_least: float = Field(0.0, ge=0, le=1)

    def find(self, text: Text) -> RuleResult:
        common = sum(word in STOP_WORDS[self.language] for word in text.words) / max(1, len(text.words))
        ascii_share = sum(map(str.isascii, text.letters)) / max(1, len(text.letters))
        mark = min(1.0, common / self.at_least, ascii_share / self.ascii_at_least if self.ascii_at_least else 1.0)
        note = f"{common:.0%} of its words are among the commonest, {ascii_share:.0%} of its letters are ASCII"
        return RuleResult(mark, "" if mark == 1 else note)


AnyRule = Annotated[PatternRule | PhrasesRule | WordsRule | LanguageRule, Field(discriminator="kind")]
KINDS: dict[str, type[Rule]] = {
    "pattern": PatternRule,
    "phrases": PhrasesRule,
    "words": WordsRule,
    "language": LanguageRule,
}


class RulesFile(Section):
    """A rules file."""

    rule: tuple[AnyRule, ...] = Field(min_length=1)


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Read the rules of a file; BadInput for its first error."""
    table = read_toml(path, "rules under [scorer]")
    try:
        rules = parse_strict(RulesFile, table).rule
    except ValidationError as error:
        raise BadInput(f"{path}{_complaint(error, table)}") from None
    if twice := next(_repeated([rule.name for rule in rules]), None):
        raise BadInput(f"{path} has two rules named {twice!r}; names must be unique, so rename one")
    return rules


def _repeated(names: list[str]) -> Iterator[str]:
    return (name for place, name in enumerate(names) if name in names[:place])


def _complaint(error: ValidationError, table: dict[str, Any]) -> str:
    """The first error, an unknown key before any other, with the rule, the value and the remedy."""
    problems = error.errors(include_url=False)
    problem = next((found for found in problems if found["type"] == "extra_forbidden"), problems[0])
    where, message = list(problem["loc"]), problem["msg"].removeprefix("Value error, ")
    at = f", rule {int(where[1]) + 1}{_named(table, int(where[1]))}" if len(where) > 1 else ""
    key, rule = where[-1] if where else "", KINDS.get(str(where[2])) if len(where) > 2 else None
    match problem["type"]:
        case "extra_forbidden":
            return f"{at} has no key {key!r}{nearest(str(key), rule.model_fields if rule else ['rule'])}"
        case "missing":
            return f"{at} lacks {key}; add it" if at else " has no rules; add [[rule]] tables"
        case "union_tag_not_found" | "union_tag_invalid":
            return f"{at} needs a kind; known: {', '.join(KINDS)}"
        case "value_error":
            return f"{at}: {message}"
    return f"{at}, {key}={problem['input']!r} is refused: {message[:1].lower()}{message[1:]}; give such a value"


def _named(table: dict[str, Any], place: int) -> str:
    rows = table.get("rule")
    name = rows[place].get("name") if isinstance(rows, list) and isinstance(rows[place], dict) else None
    return f" ({name})" if isinstance(name, str) else ""
