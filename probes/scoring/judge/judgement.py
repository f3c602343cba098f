"""Reads a judge's reply, which is untrusted: as a whole or not at all. Pure functions of the reply's text.

A reply that is not JSON is repaired (json-repair). Then each number must also occur in the text, complete and after its
own key: repair may add quotes, commas and braces, and must not invent a mark.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any, TypeGuard

from common.wording import one_line
from probes.endpoint.json_replies import Ambiguous, after_first_object, repaired_json, strict_json
from probes.scoring.judge.rubric import Rubric
from probes.scoring.protocol import Mark, Missing

MAX_REPLY = 20_000
MAX_NOTE = 300
_NEXT = r"""\s*,?\s*(?:(?<=[\s,])["']?\w+["']?\s*:|}\s*(?:[,}]|$|["']\w+["']\s*:))"""  # a key, or the object's end
_FENCE = re.compile(r"[^{}`]{0,80}```(?:json)?\s*(\{.*\})\s*```", re.DOTALL)
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A mark per component on the rubric's scale, critical failures by name, and the judge's own overall if it gave
    one on that scale."""

    marks: Mapping[str, float]
    critical: tuple[str, ...] = ()
    overall: float | None = None
    note: str = ""


class UnreadableJudgement(Exception):
    """The reply is not a complete judgement. The message is sent to the judge."""


def read_judgement(text: str, rubric: Rubric) -> Judgement:
    """The judgement in a judge's reply; UnreadableJudgement says what is missing or wrong."""
    if len(text) > MAX_REPLY:
        raise UnreadableJudgement(f"it is {len(text)} characters long and at most {MAX_REPLY} are read")
    data, repaired = parse_reply(text)
    found = judgement_of(data, rubric)
    return _require_stated(found, _without_thought(text), rubric) if repaired else found


def parse_reply(text: str) -> tuple[object, bool]:
    """The JSON in a reply, and whether it had to be repaired; UnreadableJudgement for an empty reply."""
    answer = _without_thought(text)
    if not answer:
        raise UnreadableJudgement("it is empty")
    if not answer.startswith("{"):
        raise UnreadableJudgement("it is not one JSON object and nothing else")
    if (more := after_first_object(answer)) and re.search(r"\w", more):
        raise UnreadableJudgement("it says more after the object")
    try:
        data = strict_json(answer)
    except Ambiguous as error:
        raise UnreadableJudgement(str(error)) from None
    return (repaired_json(answer), True) if data is None else (data, False)


def _without_thought(text: str) -> str:
    """The reply without the thoughts of a reasoning model and without a fence around it.

    Other prose around the object is an error: it may say that the object is a draft or a quotation.
    """
    thought, _, said = text.rpartition("</think>")
    if "<think>" in said and not thought:
        return ""  # the thought never ended
    fenced = _FENCE.fullmatch(said.strip())
    return (fenced[1] if fenced else said).strip()


def judgement_of(data: object, rubric: Rubric) -> Judgement:
    """A judgement from parsed JSON. Keys unknown to the rubric are ignored; UnreadableJudgement if one is missing."""
    if not isinstance(data, dict):
        raise UnreadableJudgement("it is not one JSON object")
    components = data.get("components")
    if not isinstance(components, dict):
        raise UnreadableJudgement("components is missing or no object")
    marks = {name: _mark(components, name, rubric) for name in rubric.names}
    overall, note = data.get("overall"), data.get("note")
    return Judgement(
        marks,
        _critical(data, rubric),
        float(overall) if _on_scale(overall, rubric) else None,
        one_line(note, MAX_NOTE) if isinstance(note, str) else "",
    )


def mean_mark(passes: Sequence[Judgement | Missing], rubric: Rubric) -> Mark | Missing:
    """The mean over the passes, with components from 0 to 10. Missing unless all passes were read: a mean over fewer
    would be noisier. A critical failure counts if any pass reports it."""
    judgements = [judgement for judgement in passes if isinstance(judgement, Judgement)]
    lacking = next((missing for missing in passes if isinstance(missing, Missing)), None)
    if lacking is not None:
        return lacking
    values = [rubric.overall(judgement.marks, judgement.critical) for judgement in judgements]
    parts = {name: fmean(rubric.scale.to_ten(one.marks[name]) for one in judgements) for name in rubric.names}
    own = [rubric.scale.to_ten(one.overall) for one in judgements if one.overall is not None]
    if len(own) == len(judgements):
        parts["judge_overall"] = fmean(own)
    if len(judgements) > 1:
        parts["pass_spread"] = stdev(values)
    critical = tuple(name for name in rubric.failures if any(name in one.critical for one in judgements))
    outcome = "CRITICAL" if critical else "JUDGED"
    return Mark(fmean(values), parts, critical, outcome, note=judgements[0].note)


def _mark(marks: Mapping[str, Any], name: str, rubric: Rubric) -> float:
    if name not in marks:
        raise UnreadableJudgement(f"components has no {name}")
    if not _on_scale(marks[name], rubric):
        low, high = rubric.scale.low, rubric.scale.high
        raise UnreadableJudgement(f"{name}={one_line(repr(marks[name]), 40)} is no number from {low:g} to {high:g}")
    return float(marks[name])


def _on_scale(value: object, rubric: Rubric) -> TypeGuard[float]:
    """Whether it is a finite number within the scale, and not a bool or a string."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return rubric.scale.low <= value <= rubric.scale.high


def _critical(data: Mapping[str, Any], rubric: Rubric) -> tuple[str, ...]:
    """The reported critical failures in the rubric's order. UnreadableJudgement without the list."""
    if not rubric.critical:
        return ()
    listed = data.get("critical_failures")
    if not isinstance(listed, list):
        raise UnreadableJudgement("critical_failures is missing or no list")
    for name in listed:
        if name not in rubric.failures:
            raise UnreadableJudgement(
                f"critical_failures holds {one_line(repr(name), 60)}, which the rubric does not define"
            )
    return tuple(name for name in rubric.failures if name in listed)


def _require_stated(judgement: Judgement, text: str, rubric: Rubric) -> Judgement:
    """The repaired judgement if the text states each part exactly once; without an overall that it does not state."""
    for name, mark in judgement.marks.items():
        if _numbers(text, name) != [mark]:
            raise UnreadableJudgement(f"it is no JSON and does not state {name} once, whole and as a number")
    if rubric.critical:
        lists = re.findall(rf"""critical_failures["']?\s*:\s*(?:(\[[^\[\]]*\])(?={_NEXT}))?""", text)
        if (
            text.count("critical_failures") != 1
            or len(lists) != 1
            or set(re.findall(r"\w+", lists[0])) != set(judgement.critical)
            or not lists[0]
        ):
            raise UnreadableJudgement("it is no JSON and does not state critical_failures once and whole")
    stated = judgement.overall is not None and _numbers(text, "overall") == [judgement.overall]
    return judgement if stated else replace(judgement, overall=None)


def _numbers(text: str, key: str) -> list[float | None]:
    """The number after each occurrence of the key; None if there is none.

    A number must be followed by the next key or the end of the object, so that the 1 of a cut-off 10, the 7 of 7,5 and
    the 9 of "9, no, 3" are not read.
    """
    numbers = re.findall(rf"""(?<!\w){key}["']?\s*:\s*(?:({_NUMBER})(?={_NEXT}))?""", text)
    return [float(number) if number else None for number in numbers]
