"""The contract of scorers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from common.errors import NightlaneError
from probes.inputs.settings import ScorerSettings
from probes.scoring import Answer, Mark, Missing, Scorer, ScorerBroken, scorer_digest
from probes.scoring import scorer_class as registered

ODD_TEXTS = ("", " \n\t", "\0", "\ud800", "word " * 20_000, "{" * 5_000, "I'm sorry, but I can't help with that.")
"""Texts that a model may write. Each gets a score, or a reason why it has none."""


class ScorerContract(ABC):
    """Inherit it under a name that begins with Test, and define the scorer, its settings and answers.

    ``folder`` is the study's folder; write the files of the settings into it.
    """

    scorer: ClassVar[type[Scorer]]

    @abstractmethod
    def settings(self, folder: Path) -> ScorerSettings:
        """Settings that a study may have."""

    @abstractmethod
    def other_settings(self, folder: Path) -> ScorerSettings:
        """Other settings in the same folder, with which an answer may have another score."""

    @abstractmethod
    def answers(self) -> Sequence[Answer]:
        """Two or more answers with different texts, two of which have different scores."""

    def broken(self, folder: Path) -> tuple[Scorer, Sequence[Answer]] | None:
        """A scorer that cannot score these answers, because its model, sandbox or rules fail; None if nothing can
        fail."""
        return None

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Scorer]:
        scorer = self._open(tmp_path)
        yield scorer
        scorer.close()

    def test_it_is_known_by_its_kind(self, tmp_path: Path) -> None:
        assert self.settings(tmp_path).kind == self.scorer.kind
        assert isinstance(self.settings(tmp_path), self.scorer.Settings)
        assert registered(self.scorer.kind) is self.scorer

    def test_its_settings_refuse_unknown_keys(self) -> None:
        with pytest.raises(ValidationError, match="no_such_key"):
            self.scorer.Settings.model_validate({"kind": self.scorer.kind, "no_such_key": 1})

    def test_it_accepts_the_prompts_that_it_can_score(self, tmp_path: Path) -> None:
        settings = self.settings(tmp_path)
        self.scorer.check(settings, tmp_path, [answer.prompt for answer in self.answers()])

    def test_it_says_in_one_line_what_it_uses(self, opened: Scorer) -> None:
        assert "\n" not in opened.about

    def test_no_answers_have_no_scores(self, opened: Scorer) -> None:
        assert list(opened.score([])) == []

    def test_a_score_is_a_number_from_0_to_10(self, opened: Scorer) -> None:
        marks = _marks(opened.score(self.answers()))
        assert all(isinstance(mark.value, float) and 0 <= mark.value <= 10 for mark in marks)
        assert all(math.isfinite(part) for mark in marks for part in mark.components.values())
        assert all(isinstance(name, str) and name for mark in marks for name in mark.critical)
        assert len({mark.value for mark in marks}) > 1, "give answers with different scores, or nothing is tested"

    def test_scores_come_in_the_order_of_the_answers(self, opened: Scorer) -> None:
        answers = self.answers()
        assert list(opened.score(answers)) == list(opened.score(answers[::-1]))[::-1]

    def test_an_answers_score_does_not_depend_on_the_others(self, opened: Scorer) -> None:
        answers = self.answers()
        assert [mark for answer in answers for mark in opened.score([answer])] == list(opened.score(answers))

    def test_another_instance_gives_the_same_scores(self, opened: Scorer, tmp_path: Path) -> None:
        before, other = list(opened.score(self.answers())), self._open(tmp_path)
        try:
            assert list(other.score(self.answers())) == before
        finally:
            other.close()

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
    def test_whatever_a_model_writes_is_scored_or_missing(self, opened: Scorer, text: str) -> None:
        answers = self.answers()
        odd = Answer(answers[0].prompt, text)
        first, found, last = opened.score([answers[0], odd, answers[-1]])
        assert isinstance(found, Mark | Missing)
        assert [first, last] == list(opened.score([answers[0], answers[-1]])), "an odd answer changed its neighbours"
        if isinstance(found, Mark):
            assert 0 <= found.value <= 10

    def test_what_cannot_be_scored_has_no_score(self, tmp_path: Path) -> None:
        if (given := self.broken(tmp_path)) is None:
            pytest.skip("nothing of this scorer can fail")
        scorer, answers = given
        try:
            found: Sequence[Any] = scorer.score(answers)
        except (ScorerBroken, NightlaneError):
            return
        finally:
            scorer.close()
        assert len(found) == len(answers)
        assert all(isinstance(one, Missing) and one.reason for one in found)

    def test_equal_settings_have_equal_digests_and_others_another(self, tmp_path: Path) -> None:
        digest = scorer_digest(self.settings(tmp_path), tmp_path)
        assert scorer_digest(self.settings(tmp_path), tmp_path) == digest
        assert scorer_digest(self.other_settings(tmp_path), tmp_path) != digest

    def test_the_digest_changes_with_each_file_that_decides_a_score(self, tmp_path: Path) -> None:
        settings = self.settings(tmp_path)
        for path in self.scorer.files(settings, tmp_path):
            text = path.read_bytes()
            before = scorer_digest(settings, tmp_path)
            path.write_bytes(text + b"\n# changed\n")
            assert scorer_digest(settings, tmp_path) != before, path
            path.write_bytes(text)

    def test_closing_twice_is_harmless(self, tmp_path: Path) -> None:
        scorer = self._open(tmp_path)
        scorer.close()
        scorer.close()

    def _open(self, folder: Path) -> Scorer:
        return self.scorer(self.settings(folder), folder)


def _marks(results: Sequence[Mark | Missing]) -> list[Mark]:
    missing = [result.reason for result in results if isinstance(result, Missing)]
    assert not missing, f"give answers that can be scored: {missing}"
    return [result for result in results if isinstance(result, Mark)]
