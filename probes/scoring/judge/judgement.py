"""What a judge replied, which is untrusted: read in full or not at all. Pure functions of the reply's text.

A reply that is no JSON is repaired (json-repair), and then every number must stand in the text, whole and after its
own key: repair may mend quotes, commas and braces, and never gives a mark that the judge did not give.
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


class Unreadable(Exception):
    """A reply that is no full judgement; the text is what the judge is told."""


def read_judgement(text: str, rubric: Rubric) -> Judgement:
    """The judgement in a judge's reply; Unreadable says what is missing or wrong."""
    if len(text) > MAX_REPLY:
        raise Unreadable(f"it is {len(text)} characters long and at most {MAX_REPLY} are read")
    data, repaired = parse_reply(text)
    found = judgement_of(data, rubric)
    return _stated(found, _said(text), rubric) if repaired else found


def parse_reply(text: str) -> tuple[object, bool]:
    """The JSON in a reply, and whether it had to be repaired; Unreadable for an empty one."""
    answer = _said(text)
    if not answer:
        raise Unreadable("it is empty")
    if not answer.startswith("{"):
        raise Unreadable("it is not one JSON object and nothing else")
    if (more := after_first_object(answer)) and re.search(r"\w", more):
        raise Unreadable("it says more after the object")
    try:
        data = strict_json(answer)
    except Ambiguous as error:
        raise Unreadable(str(error)) from None
    return (repaired_json(answer), True) if data is None else (data, False)


def _said(text: str) -> str:
    """Without what a reasoning model thought before it, and out of a fence that the reply ends with.

    Prose around an object is not passed over: it may say that the object is a draft, or the answer's own words.
    """
    thought, _, said = text.rpartition("</think>")
    if "<think>" in said and not thought:
        return ""  # it never stopped thinking
    fenced = _FENCE.fullmatch(said.strip())
    return (fenced[1] if fenced else said).strip()


def judgement_of(data: object, rubric: Rubric) -> Judgement:
    """A judgement from parsed JSON; keys that the rubric does not name are passed over. Unreadable for less."""
    if not isinstance(data, dict):
        raise Unreadable("it is not one JSON object")
    given = data.get("components")
    if not isinstance(given, dict):
        raise Unreadable("components is missing or no object")
    marks = {name: _mark(given, name, rubric) for name in rubric.names}
    overall, note = data.get("overall"), data.get("note")
    return Judgement(
        marks,
        _critical(data, rubric),
        float(overall) if _on_scale(overall, rubric) else None,
        one_line(note, MAX_NOTE) if isinstance(note, str) else "",
    )


def mean_mark(passes: Sequence[Judgement | Missing], rubric: Rubric) -> Mark | Missing:
    """The mean over the passes, with its parts from 0 to 10; Missing unless all were read, else the noise of a mark
    would depend on the judge's luck. A critical failure counts when one pass reports it."""
    found = [judgement for judgement in passes if isinstance(judgement, Judgement)]
    lacking = next((missing for missing in passes if isinstance(missing, Missing)), None)
    if lacking is not None:
        return lacking
    values = [rubric.overall(judgement.marks, judgement.critical) for judgement in found]
    parts = {name: fmean(rubric.scale.to_ten(one.marks[name]) for one in found) for name in rubric.names}
    own = [rubric.scale.to_ten(one.overall) for one in found if one.overall is not None]
    if len(own) == len(found):
        parts["judge_overall"] = fmean(own)
    if len(found) > 1:
        parts["pass_spread"] = stdev(values)
    critical = tuple(name for name in rubric.failures if any(name in one.critical for one in found))
    outcome = "CRITICAL" if critical else "JUDGED"
    return Mark(fmean(values), parts, critical, outcome, note=found[0].note)


def _mark(given: Mapping[str, Any], name: str, rubric: Rubric) -> float:
    if name not in given:
        raise Unreadable(f"components has no {name}")
    if not _on_scale(given[name], rubric):
        low, high = rubric.scale.low, rubric.scale.high
        raise Unreadable(f"{name}={one_line(repr(given[name]), 40)} is no number from {low:g} to {high:g}")
    return float(given[name])


def _on_scale(value: object, rubric: Rubric) -> TypeGuard[float]:
    """A number, neither true nor "7", nan nor infinity, within the scale."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return rubric.scale.low <= value <= rubric.scale.high


def _critical(data: Mapping[str, Any], rubric: Rubric) -> tuple[str, ...]:
    """Names of the rubric's in the rubric's order. A missing list might have held one, so it is not an empty one."""
    if not rubric.critical:
        return ()
    listed = data.get("critical_failures")
    if not isinstance(listed, list):
        raise Unreadable("critical_failures is missing or no list")
    for name in listed:
        if name not in rubric.failures:
            raise Unreadable(f"critical_failures holds {one_line(repr(name), 60)}, which the rubric does not define")
    return tuple(name for name in rubric.failures if name in listed)


def _stated(found: Judgement, text: str, rubric: Rubric) -> Judgement:
    """A repaired judgement if the text itself states all of it, once; what it says of the overall likewise."""
    for name, mark in found.marks.items():
        if _numbers(text, name) != [mark]:
            raise Unreadable(f"it is no JSON and does not state {name} once, whole and as a number")
    if rubric.critical:
        lists = re.findall(rf"""critical_failures["']?\s*:\s*(?:(\[[^\[\]]*\])(?={_NEXT}))?""", text)
        if (
            text.count("critical_failures") != 1
            or len(lists) != 1
            or set(re.findall(r"\w+", lists[0])) != set(found.critical)
            or not lists[0]
        ):
            raise Unreadable("it is no JSON and does not state critical_failures once and whole")
    stated = found.overall is not None and _numbers(text, "overall") == [found.overall]
    return found if stated else replace(found, overall=None)


def _numbers(text: str, key: str) -> list[float | None]:
    """What stands after each place that has the key: a number, or None.

    A number has ended where the object ends or the next key follows: not the 1 of a torn 10, nor the 7 of a 7,5, nor
    the 9 of "9, no, 3".
    """
    found = re.findall(rf"""(?<!\w){key}["']?\s*:\s*(?:({_NUMBER})(?={_NEXT}))?""", text)
    return [float(number) if number else None for number in found]
