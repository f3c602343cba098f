"""What a judge costs for a plan, before it is asked."""

from dataclasses import dataclass

from preferences.scoring.plan import ScoringPlan
from probes.inputs.material import Material
from probes.scoring.judge.settings import JudgeSettings


@dataclass(frozen=True, slots=True)
class JudgingCost:
    """``judgements``: questions at most; those that the judge has answered before cost nothing. ``dollars``: at most;
    None if the study names no prices."""

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
