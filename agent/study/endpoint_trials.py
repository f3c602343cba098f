"""Asks every endpoint that a study names one question, before anything is trained.

The proposer is asked for its first proposal, the judge for a judgement, and the server of the answers for an answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.loop.budget import Spent, budget_left
from agent.proposers import proposing_model
from agent.proposers.protocol import Situation
from agent.study.load import Study
from common.errors import MissingRequirement, NightlaneError
from probes.endpoint.trial import Trial
from probes.scoring.judge.settings import JudgeSettings

if TYPE_CHECKING:
    from probes.rendering.renderer import AnswerEnds

TryEndpoint = Callable[[Study, Mapping[str, str]], Trial | None]


@dataclass(frozen=True, slots=True)
class EndpointTrial:
    """``required``: whether the study asks for this endpoint; otherwise it is used because the environment sets it."""

    trial: Trial
    required: bool


def try_endpoints(study: Study, environment: Mapping[str, str]) -> Iterator[EndpointTrial]:
    """The endpoints of a study, one after the other. A simulated runner needs no judge and no server of answers."""
    asked: list[tuple[str, TryEndpoint, bool]] = [("proposer", _try_proposer, study.file.proposer.kind != "auto")]
    if study.file.runner.kind != "simulated":
        asked += [("judge", _try_judge, True), ("answers", _try_answers, True)]
    for role, ask, required in asked:
        try:
            trial = ask(study, environment)
        except NightlaneError as error:
            trial = Trial(role=role, failure=str(error))
        if trial is not None:
            yield EndpointTrial(trial, required)


def _try_proposer(study: Study, environment: Mapping[str, str]) -> Trial | None:
    model = proposing_model(study.file.proposer, environment)
    if model is None:
        return None
    from agent.proposers.llm import LanguageModelProposer

    proposer = LanguageModelProposer(study.file.proposer, model, lambda note: None, environment)
    return proposer.try_once(first_situation(study))


def _try_judge(study: Study, environment: Mapping[str, str]) -> Trial | None:
    if not isinstance(study.scorer, JudgeSettings):
        return None
    from probes.scoring.judge.requests.trial import try_judge

    return try_judge(study.scorer, study.path.parent, study.material.probe_prompts, environment)


def _try_answers(study: Study, environment: Mapping[str, str]) -> Trial | None:
    if study.file.serving.kind != "endpoint":
        return None
    from probes.generate.vllm import AnswerServer

    server = AnswerServer(study.file.serving, environment)
    try:
        return server.try_once(*_rendered(study))
    finally:
        server.close()


def _rendered(study: Study) -> "tuple[Sequence[str | tuple[int, ...]], AnswerEnds]":
    """The probe prompts as the base gets them, and where an answer ends; their texts if the base is not on this
    machine."""
    from probes.model.load import load_renderer
    from probes.rendering.renderer import AnswerEnds

    prompts = study.material.probe_prompts
    try:
        renderer = load_renderer(study.file.model, study.path.parent, local=True)
    except MissingRequirement:
        return [prompt.text for prompt in prompts], AnswerEnds(())
    return [renderer.question(prompt.asked).ids for prompt in prompts], renderer.stop


def first_situation(study: Study) -> Situation:
    """What a proposer is shown before anything was measured, in the lane with the largest share that has a move."""
    space, start = study.lanes, study.start
    lanes = sorted(space.shares, key=lambda name: -space.shares[name])
    lane = next(name for name in lanes if space.moves(start, name))
    return Situation(
        turn=1,
        seed=0,
        lane=lane,
        incumbent=start,
        moves=space.moves(start, lane),
        space=space,
        history=(),
        target=study.target,
        guards=study.guards,
        program=study.program,
        budget_left=budget_left(study.file.budget, Spent(0, 0.0, 0, 0.0, 0.0)),
        expected={},
    )
