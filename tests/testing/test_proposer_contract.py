"""nightlane's own proposers keep the contract that is shipped for those of others."""

from collections.abc import Iterator

import pytest

from agent.proposers import Proposer, ProposerSettings
from agent.proposers.llm import LanguageModelProposer
from agent.proposers.tpe import TpeProposer
from testing.contracts import ProposerContract
from testing.scripted_endpoint.server import MODEL, ScriptedEndpoint


class TestTpe(ProposerContract):
    def proposer(self) -> Proposer:
        return TpeProposer()


class TestLanguageModel(ProposerContract):
    """At an endpoint that picks a legal move by a seeded choice."""

    @pytest.fixture(autouse=True)
    def _endpoints(self) -> Iterator[None]:
        self.endpoints: list[ScriptedEndpoint] = []
        yield
        for endpoint in self.endpoints:
            endpoint.__exit__(None, None, None)

    def proposer(self) -> Proposer:
        self.endpoints.append(ScriptedEndpoint([{"pick": "legal"}]).__enter__())
        return LanguageModelProposer(ProposerSettings(), MODEL, print, self.endpoints[-1].environment)


class TestLanguageModelWithoutAReply(TestLanguageModel):
    """At an endpoint whose replies cannot be used: it declines."""

    def proposer(self) -> Proposer:
        self.endpoints.append(ScriptedEndpoint([{"content": "beta, I suppose"}] * 2).__enter__())
        return LanguageModelProposer(ProposerSettings(), MODEL, print, self.endpoints[-1].environment)
