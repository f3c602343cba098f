"""The rubric of a judge: a TOML file of weighted components, critical failures and notes on each category.

scale = { low = 0, high = 10 }               # of a component's mark
instructions = "..."                         # optional: whose answers these are, what matters

[[component]]
name = "voice"
weight = 25
definition = "10: ... 5: ... 0: ..."

[[critical]]
name = "breaks_character"
definition = "..."
cap = 2                                      # the overall, from 0 to 10, is at most this

[categories]
advice = "..."
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from common.errors import BadInput
from probes.endpoint.json_replies import closed_object, schema_format
from probes.inputs.toml_file import parse_strict, read_toml

RESERVED = ("judge_overall", "pass_spread", "overall", "critical_failures", "components", "note")


class _RubricTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class _Named(_RubricTable):
    name: str = Field(max_length=64)
    definition: str = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _is_a_free_identifier(cls, name: str) -> str:
        if not (name.isascii() and name.isidentifier()) or name in RESERVED:
            raise ValueError(f"name={name!r} must be letters, digits and _, and none of {', '.join(RESERVED)}")
        return name


class Component(_Named):
    """A component and its weight in the overall score."""

    weight: float = Field(gt=0, le=1e6)


class Critical(_Named):
    """A failure that caps the overall score at ``cap`` (0 to 10)."""

    cap: float = Field(ge=0, le=10)


class Scale(_RubricTable):
    """The bounds of a component's mark."""

    low: float = Field(0.0, ge=-1e6, le=1e6)
    high: float = Field(10.0, ge=-1e6, le=1e6)

    @model_validator(mode="after")
    def _goes_up(self) -> "Scale":
        if not self.low < self.high:
            raise ValueError(f"low={self.low:g} must be below high={self.high:g}; swap or change them")
        return self

    def to_ten(self, mark: float) -> float:
        """Convert a mark to the scale from 0 to 10."""
        return 10.0 * (mark - self.low) / (self.high - self.low)


class Rubric(_RubricTable):
    """A whole rubric. Names are unique among components and critical failures together."""

    scale: Scale = Scale()
    instructions: str = ""
    component: tuple[Component, ...] = Field(min_length=1)
    critical: tuple[Critical, ...] = ()
    categories: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Rubric":
        seen: set[str] = set()
        for name in (*self.names, *self.failures):
            if name in seen:
                raise ValueError(f"the name {name!r} is used twice; rename one of the two")
            seen.add(name)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(component.name for component in self.component)

    @property
    def failures(self) -> tuple[str, ...]:
        return tuple(critical.name for critical in self.critical)

    def overall(self, marks: Mapping[str, float], reported: Collection[str] = ()) -> float:
        """The weighted mean of the marks, from 0 to 10, capped by the reported critical failures."""
        total = sum(component.weight for component in self.component)
        mean = sum(component.weight * self.scale.to_ten(marks[component.name]) for component in self.component) / total
        caps = [critical.cap for critical in self.critical if critical.name in reported]
        return min([max(0.0, min(10.0, mean)), *caps])

    def reply_schema(self) -> dict[str, Any]:
        """The closed JSON schema of a judgement. Bounds are not in it, because some servers refuse such keywords; they
        are checked when a reply is read."""
        return closed_object(self._reply_parts)

    @property
    def response_format(self) -> dict[str, Any]:
        return schema_format("judgement", self._reply_parts)

    @property
    def _reply_parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"note": {"type": "string"}}
        if self.critical:
            names = {"type": "string", "enum": list(self.failures)}
            parts["critical_failures"] = {"type": "array", "items": names}
        parts["components"] = closed_object({name: {"type": "number"} for name in self.names})
        parts["overall"] = {"type": "number"}
        return parts


def load_rubric(path: Path) -> Rubric:
    """Read a rubric; BadInput for the first error in the file."""
    table = read_toml(path, "rubric under [scorer]")
    try:
        return parse_strict(Rubric, table)
    except ValidationError as error:
        raise BadInput(f"{path}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first error, an unknown key before any other, with its place and remedy."""
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    where = ".".join(str(part + 1) if isinstance(part, int) else part for part in problem["loc"]) or "the rubric"
    if problem["type"] == "extra_forbidden":
        return f"{where} is no key of a rubric; correct or remove it"
    if problem["type"] == "missing":
        return f"{where} is missing; add it"
    law = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{where}: {law}"
    shown = repr(problem["input"])
    return f"{where}={shown[:80]} is refused ({law[:1].lower()}{law[1:]}); correct it"
