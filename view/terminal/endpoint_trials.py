"""The part of ``nightlane check`` and ``doctor`` on endpoints: what each of the study's answered to one question."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from agent.study.endpoint_trials import EndpointTrial
from probes.endpoint.trial import Trial


def trials_text(trials: Sequence[EndpointTrial]) -> str:
    """A line for each endpoint; "" if the study uses none."""
    if not trials:
        return ""
    return "\n".join(["Endpoints, asked one question each:", *(f"- {trial_line(one)}" for one in trials)])


def trial_line(one: EndpointTrial) -> str:
    """The line of one endpoint."""
    trial = one.trial
    if trial.failure:
        needed = "" if one.required else '; a session needs it while it is set, since [proposer] kind = "auto"'
        return f"{trial.role}: {trial.failure}{needed}{_dollars(trial, 'may have cost ')}"
    judged = f"{trial.seconds:.1f} s{_dollars(trial)}, {_schema(trial)}"
    return f"{trial.role}: {trial.model} at {trial.url} answered in {judged}: {trial.said or '(nothing)'}"


def trials_data(trials: Sequence[EndpointTrial]) -> list[dict[str, Any]]:
    """The same as data."""
    return [{**asdict(one.trial), "required": one.required} for one in trials]


def _schema(trial: Trial) -> str:
    if trial.role == "answers":
        return ", ".join(["as text", *([trial.repeated] if trial.repeated else [])])
    asked = f"asked without the schema, which it refused ({trial.schema_refused})" if trial.schema_refused else ""
    if trial.problem:
        return f"{asked + ', and it' if asked else 'it'} did not keep to the form of a reply ({trial.problem})"
    return f"{asked}, and it kept to the form of a reply" if asked else "it kept to the schema"


def _dollars(trial: Trial, word: str = "for ") -> str:
    return f", {word}${trial.dollars:.2g}" if trial.dollars else ""
