"""One real sandbox per back end that holds here; every test that takes `sandbox` runs on each."""

from collections.abc import Iterator

import pytest
from jailed import BACKENDS, LIMITS, Run

import sandbox as api


@pytest.fixture(scope="session", params=BACKENDS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[api.Sandbox]:
    with api.open_sandbox(LIMITS, request.param) as opened:
        yield opened


@pytest.fixture
def run(sandbox: api.Sandbox) -> Run:
    """run(source, call, call...) calls `f`, and afterwards checks that the next program is served as usual."""

    def run_and_check(source: str, *calls: tuple[api.Value, ...]) -> api.Execution:
        execution = sandbox.run(api.Program(source, "f", calls or ((),)))
        following = sandbox.run(api.Program("def f(x): return x + 1", "f", ((41,),)))
        assert following.outcomes == (api.Returned(42),)
        return execution

    return run_and_check
