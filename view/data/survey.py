"""The survey: what was measured around the starting recipe, and the effects to expect from it."""

from agent.loop.survey import SURVEY
from agent.policy.effect_model import Response, move_of
from view.data.figures import shown
from view.data.recipe_figures import SurveyFigures, SurveyMove
from view.data.session_record import SessionRecord

ROWS = 8


def survey_figures(record: SessionRecord) -> SurveyFigures | None:
    """None where the session took none: an earlier one did, or its study has none."""
    own = [check for check in record.checks if check.kind == SURVEY]
    if not own:
        return None
    legal = record.study.lanes.moves(record.start)
    moves = [(knob, value) for knob in record.study.lanes.knobs for value in legal.get(knob.name, ())]
    placed = [move_of(knob, knob.read(record.start), value) for knob, value in moves]
    seen = record.surveyed.of(record.study.target)
    mean, covariance = Response(seen).expected(placed)
    best = sorted(range(len(moves)), key=lambda place: -mean[place])[:ROWS]
    return SurveyFigures(
        len(own),
        sum(bool(check.data["failure"]) for check in own),
        len({check.data["seed"] for check in own}),
        tuple(
            SurveyMove(
                knob=moves[place][0].name,
                before=shown(moves[place][0].read(record.start)),
                after=shown(moves[place][1]),
                expected=float(mean[place]),
                deviation=float(max(covariance[place, place], 0.0)) ** 0.5,
            )
            for place in best
            if seen
        ),
    )
