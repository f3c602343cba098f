"""Contract tests for what other packages add to nightlane: a scorer, a runner, a proposer.

Inherit one in a test file, define its methods, and run pytest:

    from testing.contracts import ScorerContract

    class TestPoliteness(ScorerContract):
        scorer = PolitenessScorer

        def settings(self, folder):
            return PolitenessSettings(words=("please", "thanks"))

        def other_settings(self, folder):
            return PolitenessSettings(words=("please",))

        def answers(self):
            return [Answer(PROMPT, "Yes, please."), Answer(PROMPT, "No.")]

The name of each test is a property that nightlane relies on. nightlane's own scorers, runners and proposers have the
same tests in tests/testing. Needs pytest.
"""

import pytest

pytest.register_assert_rewrite("testing.contracts.scorer", "testing.contracts.runner", "testing.contracts.proposer")

from testing.contracts.proposer import ProposerContract  # noqa: E402
from testing.contracts.runner import RunnerContract  # noqa: E402
from testing.contracts.scorer import ScorerContract  # noqa: E402

__all__ = ["ProposerContract", "RunnerContract", "ScorerContract"]
