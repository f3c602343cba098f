"""The rules scorer: what each kind of rule finds, how marks add up, and what a rules file may not say."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from probes.inputs.prompts import Prompt
from probes.scoring import Answer, Mark, Missing, ScorerBroken, scorer_digest, scorer_settings
from probes.scoring.rules import ruleset
from probes.scoring.rules.ruleset import LONGEST
from probes.scoring.rules.scorer import RulesScorer, RulesSettings

PLAIN = "The light was mine for thirty years. I trimmed it and I wrote in the log. That is what there was to do."


def scorer(folder: Path, rules: str) -> RulesScorer:
    (folder / "rules.toml").write_text(rules, encoding="utf-8")
    return RulesScorer(RulesSettings(), folder)


def answer(text: str, category: str = "voice") -> Answer:
    return Answer(Prompt("p", "probe", category, 1, "Who are you?", {}), text)


def mark(scorer: RulesScorer, text: str, category: str = "voice") -> Mark:
    (found,) = scorer.score([answer(text, category)])
    assert isinstance(found, Mark)
    return found


def rule(kind: str, name: str = "r", weight: float = 1, **keys: object) -> str:
    table = {"name": name, "kind": kind, "weight": weight, **keys}
    return "[[rule]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


CONTRACTIONS = r"\b\w+'(?:t|s|re|ll|ve|d|m)\b"


@pytest.mark.parametrize(
    ("rules", "text", "value"),
    [
        (rule("pattern", pattern=CONTRACTIONS, at_most=0), "I do not know it", 10),
        (rule("pattern", pattern=CONTRACTIONS, at_most=0), "I don't know it", 0),
        (rule("pattern", pattern=CONTRACTIONS, at_most=0), "I don’t know it", 0),
        (rule("pattern", pattern=CONTRACTIONS, at_most=0, none_from=4), "I don't know", 7.5),
        (rule("pattern", pattern=CONTRACTIONS, at_most=2), "I don't, can't and won't", 5),
        (rule("pattern", pattern=CONTRACTIONS, at_least=2), "I don't know", 5),
        (rule("pattern", pattern=CONTRACTIONS, at_least=1, per="100 words"), " ".join(["don't"] + 199 * ["no"]), 5),
        (rule("pattern", pattern="^- ", at_most=0), "So:\n- one", 10),
        (rule("pattern", pattern="^- ", at_most=0, flags=["multiline"]), "So:\n- one", 0),
        (rule("pattern", pattern="YES", at_least=1), "yes", 0),
        (rule("pattern", pattern="YES", at_least=1, flags=["ignorecase"]), "yes", 10),
        (rule("phrases", phrases=["as an AI"], at_most=0), "Speaking AS  AN\nai, yes", 0),
        (rule("phrases", phrases=["AI"], at_most=0), "He said it again", 10),
        (rule("phrases", phrases=["a+b", "don't"], at_least=2), "a+b, and don’t", 10),
        (rule("words", low=2, high=4), "one two three", 10),
        (rule("words", low=4, high=8), "one two three", 7.5),
        (rule("words", high=2), "one two three", 5),
        (rule("words", high=2), "one two three four five", 0),
        (rule("language", language="en"), PLAIN, 10),
        (rule("language", language="en"), "Ich habe dreißig Jahre lang den Leuchtturm gehalten", 0),
        (rule("language", at_least=0.1, ascii_at_least=1.0), "the of абв гд", 5),
    ],
)
def test_each_kind_of_rule_marks_what_it_counts(tmp_path: Path, rules: str, text: str, value: float) -> None:
    assert mark(scorer(tmp_path, rules), text).value == pytest.approx(value)


MIXED = (
    rule("words", "length", 3, low=1, high=100)
    + rule("pattern", "contractions", 1, pattern=CONTRACTIONS, at_most=0)
    + rule("phrases", "breaks_character", 0, phrases=["language model"], at_most=0, critical=True, cap=1.5)
    + rule("phrases", "names_the_light", 4, phrases=["light"], at_least=1, categories=["position"])
)


def test_the_overall_is_the_weighted_mean_and_a_broken_critical_rule_caps_it(tmp_path: Path) -> None:
    judge = scorer(tmp_path, MIXED)
    clean, lapse = mark(judge, PLAIN), mark(judge, "I don't know")
    assert (clean.value, clean.outcome, clean.critical, clean.note) == (10, "OK", (), "")
    assert lapse.value == pytest.approx(7.5)
    assert lapse.components == {"length": 10, "contractions": 0, "breaks_character": 10}
    assert lapse.note == 'contractions: "don\'t", 1 per answer, at most 0'
    broken = mark(judge, "I'm a language model")
    assert (broken.value, broken.outcome, broken.critical) == (1.5, "breaks_character", ("breaks_character",))
    assert broken.note.startswith("breaks_character: 'language model'")


def test_a_rule_may_be_for_some_categories_only(tmp_path: Path) -> None:
    judge = scorer(tmp_path, MIXED)
    assert mark(judge, "The bell rang").value == 10
    assert mark(judge, "The bell rang", "position").value == pytest.approx(5)
    assert "names_the_light" not in mark(judge, "The bell rang").components


@pytest.mark.parametrize("text", ["", "   \n", "...", "🙂"])
def test_an_answer_without_a_word_breaks_no_rule_and_scores_nothing(tmp_path: Path, text: str) -> None:
    found = mark(scorer(tmp_path, MIXED), text)
    assert (found.value, found.outcome) == (0, "EMPTY")


def test_a_category_without_a_rule_has_no_score(tmp_path: Path) -> None:
    judge = scorer(tmp_path, rule("words", high=9, categories=["position"]))
    assert isinstance(judge.score([answer("one", "voice")])[0], Missing)


def test_patterns_are_searched_in_the_first_characters_only(tmp_path: Path) -> None:
    judge = scorer(tmp_path, rule("pattern", pattern="zebra", at_most=0))
    assert mark(judge, "a" * LONGEST + " zebra").value == 10
    assert mark(judge, "zebra " + "a" * LONGEST).value == 0


@given(st.text(max_size=400))
def test_every_text_has_the_same_mark_twice_and_within_the_scale(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    judge = scorer(tmp_path_factory.getbasetemp(), MIXED + rule("language", "english", 2))
    first, again = mark(judge, text), mark(judge, text)
    assert first == again
    assert all(0 <= part <= 10 for part in (first.value, *first.components.values()))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("", "has no rules"),
        ("rule = 3", "rule=3 is refused"),
        ("[[rule", "is not TOML"),
        ("[rules]", "has no key 'rules'; did you mean 'rule'?"),
        ("[[rule]]\nname = 'a'", "rule 1 (a) needs a kind; known: pattern, phrases, words, language"),
        (rule("wordz"), "needs a kind"),
        (rule("words", hihg=3), "rule 1 (r) has no key 'hihg'; did you mean 'high'?"),
        (rule("words"), "rule 1 (r) lacks high; add it"),
        (rule("words", high="3"), "high='3' is refused"),
        (rule("words", low=4, high=3), "low=4 is above high=3"),
        (rule("words", high=3) * 2, "two rules named 'r'"),
        (rule("words", high=3, critical=True), "critical = true and cap go together"),
        (rule("words", high=3, cap=2), "critical = true and cap go together"),
        (rule("words", "pass", high=3), "take another name"),
        (rule("words", weight=-1, high=3), "weight=-1 is refused"),
        (rule("pattern", pattern="(", at_most=0), "is no regular expression"),
        (rule("pattern", pattern="[a", at_most=0), "is no regular expression"),
        (rule("pattern", pattern="a*", at_most=0), "matches an empty text"),
        (rule("pattern", pattern="a"), "neither at_most nor at_least"),
        (rule("pattern", pattern="a", at_most=2, none_from=2), "none_from"),
        (rule("pattern", pattern="a", at_most=2, at_least=3), "exchange them"),
        (rule("phrases", phrases=[" "], at_most=0), "is refused"),
        ("[[rule]]\nname = 2020-01-01", "holds a date"),
    ],
)
def test_a_bad_rules_file_is_refused_in_one_sentence_with_its_path(tmp_path: Path, rules: str, message: str) -> None:
    with pytest.raises(BadInput) as refusal:
        scorer(tmp_path, rules)
    assert str(refusal.value).startswith(str(tmp_path / "rules.toml"))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_check_names_a_missing_file_an_unknown_category_and_one_without_a_rule(tmp_path: Path) -> None:
    prompts = [answer("", category).prompt for category in ("voice", "position")]
    with pytest.raises(BadInput, match=r"rules\.toml \(rules under \[scorer\]\) cannot be read"):
        RulesScorer.check(RulesSettings(), tmp_path, prompts)
    scorer(tmp_path, MIXED)
    RulesScorer.check(RulesSettings(), tmp_path, prompts)
    with pytest.raises(BadInput, match="category 'position', which no probe prompt has"):
        RulesScorer.check(RulesSettings(), tmp_path, prompts[:1])
    scorer(tmp_path, rule("words", high=9, categories=["position"]))
    with pytest.raises(BadInput, match="no rule with a weight above 0 applies to the category 'voice'"):
        RulesScorer.check(RulesSettings(), tmp_path, prompts)


def test_the_rules_are_part_of_the_probe_key(tmp_path: Path) -> None:
    settings = scorer_settings({"kind": "rules"})
    scorer(tmp_path, MIXED)
    before = scorer_digest(settings, tmp_path)
    scorer(tmp_path, MIXED.replace("1.5", "2.5"))
    assert scorer_digest(settings, tmp_path) != before


def test_a_pattern_that_backtracks_without_end_is_a_failure_of_the_scorer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruleset, "MATCH_SECONDS", 0.1)
    opened = scorer(tmp_path, rule("pattern", name="endless", pattern=r"^(a|aa)+$", at_most=0))
    with pytest.raises(ScorerBroken, match=r"rule 'endless' took more than 0\.1 s for one answer"):
        opened.score([answer("a" * 60 + "b")])


def test_a_number_without_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="an endless number"):
        scorer(tmp_path, f"[[rule]]\nname = {'9' * 5000}\n")
