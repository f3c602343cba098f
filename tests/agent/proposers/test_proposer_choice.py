import subprocess
import sys
from typing import Any

import pytest
import situations

from agent.proposers import Chain, Declined, Situation, Suggestion, choose
from agent.study.schema import ProposerSettings
from common.errors import BadInput, EndpointUnavailable
from testing.scripted_endpoint.server import ScriptedEndpoint

NOWHERE = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "some-model"}


class Named:
    """A proposer that always says the same, or always declines."""

    def __init__(self, name: str, answers: bool = True, dollars: float = 0.0) -> None:
        self.name, self.answers, self.dollars = name, answers, dollars

    def propose(self, situation: Situation) -> Suggestion | Declined:
        if not self.answers:
            return Declined(self.dollars)
        return Suggestion("beta", 0.15, "h", None, self.name, self.dollars)


def chosen(environment: dict[str, str], **settings: Any) -> Chain:
    return choose(ProposerSettings(**settings), environment, print)


def turns(chain: Chain, count: int) -> list[str]:
    """Who names a change in each turn; "designed" where none does, and the wave takes up changes by itself."""
    names = []
    for turn in range(1, count + 1):
        answer = chain.ask_first(situations.situation(turn=turn)) if chain.is_turn_of_first(turn) else Declined()
        names.append(answer.proposer if isinstance(answer, Suggestion) else "designed")
    return names


@pytest.mark.parametrize(("share", "count"), [(0.05, 1), (0.25, 5), (0.3, 6), (0.5, 10), (0.9, 18), (1.0, 20)])
def test_the_model_has_exactly_its_share_of_the_turns(share: float, count: int) -> None:
    names = turns(Chain(Named("model"), Named("optuna"), share, ""), 20)
    assert names.count("model") == count
    longest_wait = max(len(run) for run in "".join(name[0] for name in names).split("m"))
    assert longest_wait < 1 / share + 1


def test_a_model_that_declines_leaves_its_turns_to_the_design_of_the_wave_and_says_what_asking_cost() -> None:
    chain = Chain(Named("model", answers=False, dollars=0.25), Named("optuna"), 0.5, "")
    assert turns(chain, 4) == ["designed"] * 4
    assert chain.ask_first(situations.situation()) == Declined(0.25)
    assert Chain(None, Named("optuna"), 0.0, "").ask_first(situations.situation()) == Declined()


def test_without_an_endpoint_the_default_is_optuna_and_says_how_to_have_the_hybrid() -> None:
    chain = chosen({})
    assert turns(chain, 2) == ["designed", "designed"]
    assert chain.description == (
        "proposer: optuna (no endpoint is configured; set OPENAI_BASE_URL or OPENAI_API_KEY, and OPENAI_MODEL, for "
        "the hybrid)"
    )


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_KEY"])
def test_an_endpoint_without_a_model_is_optuna_and_says_that_no_model_is_named(name: str) -> None:
    description = chosen({name: "http://127.0.0.1:9/v1"}).description
    assert description == (
        "proposer: optuna (an endpoint is configured but no model is named; name it under [proposer] or in "
        "OPENAI_MODEL)"
    )


def test_with_an_endpoint_the_default_is_the_hybrid_and_says_so() -> None:
    with ScriptedEndpoint([{"pick": "legal"}]) as endpoint:
        chain = chosen(endpoint.environment)
        assert chain.description == "proposer: hybrid, language model in 50% of the turns (scripted)"
        assert turns(chain, 4) == ["designed", "language_model", "designed", "language_model"]


def test_the_studys_model_goes_before_the_environments() -> None:
    with ScriptedEndpoint([{"pick": "legal"}]) as endpoint:
        chain = chosen({**endpoint.environment, "OPENAI_MODEL": "another"}, model="scripted", share=0.25)
    assert chain.description == "proposer: hybrid, language model in 25% of the turns (scripted)"


def test_a_language_model_alone_has_every_turn_and_optuna_behind_it() -> None:
    with ScriptedEndpoint([{"pick": "legal"}]) as endpoint:
        chain = chosen(endpoint.environment, kind="language_model", share=0.25)
        assert chain.description == "proposer: language model, then optuna (scripted)"
        assert turns(chain, 2) == ["language_model"] * 2
    assert turns(chain, 1) == ["designed"]  # the endpoint is gone


def test_a_study_that_asks_for_optuna_leaves_the_endpoint_alone() -> None:
    assert chosen(NOWHERE, kind="optuna").description == "proposer: optuna (as the study asks)"


@pytest.mark.parametrize("kind", ["hybrid", "language_model"])
@pytest.mark.parametrize(
    ("environment", "lacking"), [({}, "OPENAI_BASE_URL or OPENAI_API_KEY"), ({"OPENAI_API_KEY": "k"}, "a model")]
)
def test_a_study_that_asks_for_a_model_without_one_is_refused(
    kind: str, environment: dict[str, str], lacking: str
) -> None:
    with pytest.raises(BadInput, match=f"kind='{kind}' needs an endpoint and {lacking} is not set") as refused:
        chosen(environment, kind=kind)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("kind", ["auto", "language_model"])
def test_an_endpoint_that_is_configured_and_does_not_answer_ends_the_start(kind: str) -> None:
    with pytest.raises(
        EndpointUnavailable, match=r"the endpoint at .*Connection refused.*or set kind = .optuna."
    ) as gone:
        chosen(NOWHERE, kind=kind)
    assert gone.value.exit_code == 5


def test_the_openai_client_is_not_imported_for_optuna() -> None:
    program = (
        "import sys; from agent.proposers import choose; from agent.study.schema import ProposerSettings; "
        "choose(ProposerSettings(), {}, print); print('openai' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
