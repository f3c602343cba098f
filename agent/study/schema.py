"""The study file: one TOML table per concern, validated as a whole before anything runs.

Unknown keys are refused with the nearest known one named; every message is one sentence with its remedy.
"""

import datetime
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from agent.policy.settings import Policy
from common.digests import digest_of
from common.errors import BadInput
from common.plugins import unknown_kind
from common.wording import lower_first, nearest
from lanes import LANE_NAMES, LaneSettings, Recipe, SearchSpace, build_lanes, check_recipe
from lanes.search_space import KNOB_NAMES
from probes.inputs.material import Material
from probes.inputs.rows import BadRow
from probes.inputs.settings import (
    DataSettings,
    HarvestSettings,
    ModelSettings,
    ProbeSettings,
    PromptSettings,
    RunnerSettings,
    ScorerSettings,
    Section,
    ServingSettings,
)
from probes.scoring import scorer_class, scorer_settings

MISSING = ""


class Target(Section):
    """``[target]``: the category to improve, or "overall"."""

    category: str
    """The category to improve, or "overall"."""


class Budget(Section):
    """``[budget]``: a session ends at the first of these limits."""

    decisions: int | None = Field(None, ge=1)
    """Most decisions of a session."""
    hours: float | None = Field(8.0, gt=0)
    """Most hours of running; a suspended machine costs none."""
    probes: int | None = Field(None, ge=1)
    """Most probes."""
    dollars: float | None = Field(None, gt=0)
    """Most dollars, for the machine, the proposer and the judge together."""
    dollars_per_hour: float = Field(0.0, ge=0)
    """Price of an hour of the machine."""
    disk_gb: float = Field(1.0, ge=0)
    """Gigabytes of the disk that must stay free."""


PROPOSERS = ("auto", "optuna", "language_model", "hybrid")
"""The built-in kinds of ``[proposer]``."""


class ProposerSettings(Section):
    """``[proposer]``: who proposes. An endpoint is set if OPENAI_BASE_URL or OPENAI_API_KEY is."""

    kind: str = "auto"
    """optuna (Thompson sampling and TPE), language_model, hybrid (both by turns), the name of an installed proposer (an
    entry point of nightlane.proposers), or auto: hybrid if an endpoint and a model are set, else optuna."""
    model: str = ""
    """Name of the language model; if empty, that of OPENAI_MODEL."""
    share: float = Field(0.5, gt=0, le=1)
    """The language model's share of the turns of a hybrid."""
    program: str = ""
    """A text file with your instructions to the language model."""
    timeout: float = Field(60.0, gt=0)
    """Seconds per request."""
    max_tokens: int = Field(1024, ge=64)
    """Most tokens of a reply."""
    dollars_per_million_input: float = Field(0.0, ge=0)
    """Price of a million input tokens."""
    dollars_per_million_output: float = Field(0.0, ge=0)
    """Price of a million output tokens."""

    @field_validator("kind")
    @classmethod
    def _there_is_such_a_proposer(cls, kind: str) -> str:
        if unknown := unknown_kind("proposers", kind, PROPOSERS):
            raise ValueError(unknown)
        return kind


class StudyFile(Section):
    """The whole file, as written. ``lab`` names a bundled lab that makes the material on first use."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the study, for reports and file names."""
    lab: Literal["", "microcoder", "persona", "smollm"] = ""
    """A bundled lab that builds model and data on first use."""
    model: ModelSettings
    recipe: dict[str, Any]
    data: DataSettings
    prompts: PromptSettings
    scorer: dict[str, Any] = Field(default_factory=dict)
    target: Target
    guards: dict[str, float] = Field(default_factory=dict)
    probe: ProbeSettings = ProbeSettings()
    serving: ServingSettings = ServingSettings()
    harvest: HarvestSettings = HarvestSettings()
    lanes: dict[str, LaneSettings] = Field(default_factory=lambda: {lane: LaneSettings() for lane in LANE_NAMES})
    policy: Policy = Policy()
    budget: Budget = Budget()
    proposer: ProposerSettings = ProposerSettings()
    runner: RunnerSettings = RunnerSettings()

    @field_validator("lanes")
    @classmethod
    def _lanes_are_known(cls, lanes: dict[str, LaneSettings]) -> dict[str, LaneSettings]:
        for lane in lanes:
            if lane not in LANE_NAMES:
                raise ValueError(f"there is no lane {lane!r}{nearest(lane, LANE_NAMES)}")
        if not any(settings.share > 0 for settings in lanes.values()):
            raise ValueError("no lane has a share above 0, so nothing could be proposed; raise one")
        return lanes

    @field_validator("guards")
    @classmethod
    def _margins_are_positive(cls, guards: dict[str, float]) -> dict[str, float]:
        for category, margin in guards.items():
            if not 0 < margin <= 10:
                raise ValueError(
                    f"{category} = {margin:g} is no margin; a guard may lose more than 0 and at most 10 points before "
                    "it stops a KEEP"
                )
        return guards


@dataclass(frozen=True)
class Study:
    """A validated study: the file's settings, the folder its paths start from, and what follows from them.
    ``left_out``: rows that can be read and are not trained on, by source (agent/study/material_check.py)."""

    path: Path
    text: str
    file: StudyFile
    scorer: ScorerSettings
    start: Recipe
    left_out: Mapping[str, tuple[BadRow, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def target(self) -> str:
        return self.file.target.category

    @property
    def guards(self) -> Mapping[str, float]:
        return self.file.guards

    @cached_property
    def question(self) -> str:
        """Digest of what decides: model, starting recipe, sources, prompts, scorer, target, guards, probe and policy;
        and who answers, where the worker does not.

        Lanes, manifests, budget, proposer, runner, harvest and must_see say what is tried, where and whether at all,
        and may change between sessions.
        """
        decides = {"model", "prompts", "target", "guards", "probe", "policy"}
        asked = self.file.model_dump(mode="json", include=decides, exclude={"policy": {"must_see"}})
        parts = [asked, self.scorer.model_dump(mode="json"), self.file.data.sources, self.start.digest]
        served = [self.file.serving.model_dump(mode="json")] if self.file.serving.kind == "endpoint" else []
        return digest_of([*parts, *served])

    @cached_property
    def material(self) -> Material:
        file = self.file
        return Material(
            self.path.parent, file.model, file.data, file.prompts, self.scorer, file.probe, file.serving, file.harvest,
            self.left_out,
        )  # fmt: skip

    @cached_property
    def lanes(self) -> SearchSpace:
        return build_lanes(
            self.file.lanes,
            self.start,
            self.file.data.manifests,
            tuple(self.file.data.sources),
            self.file.probe.micro_batch,
        )

    @cached_property
    def program(self) -> str:
        """A person's instructions to the language model; empty when the study names none."""
        if not self.file.proposer.program:
            return ""
        path = self.path.parent / self.file.proposer.program
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise BadInput(
                f"{path} (program under [proposer]) cannot be read as UTF-8 text; write it or take the key out"
            ) from None

    def check_material(self) -> None:
        """Prompts, data, scorer and instructions: everything that can be refused without the model."""
        self.material.check([self.target, *self.guards])
        _ = self.program
        if not self.lanes.moves(self.start):
            raise BadInput(
                f"{self.path}: no lane has a legal move from the starting recipe; widen a knob under [lanes]"
            )


def load_study(path: Path) -> Study:
    """Read and validate a study file; BadInput in one sentence for the first law it breaks."""
    return parse_study(path, _text(path))


def reloaded(study: Study) -> Study:
    """What its file says now."""
    text = _text(study.path)
    return study if text == study.text else replace(parse_study(study.path, text), left_out=study.left_out)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadInput(
            f"{path} is no readable study file; give the path of a study.toml, or make one with init"
        ) from None


def _day(value: object) -> str:
    """A date, as ``[model] date`` is one."""
    if type(value) is datetime.date:
        return value.isoformat()
    raise TypeError


def parse_study(path: Path, text: str) -> Study:
    """A study from its text; ``path`` is where its relative paths start and what messages name."""
    try:
        # As JSON, because pydantic is strict there without refusing a list for a tuple: true is no 1, "1e-4" no number.
        file = StudyFile.model_validate_json(json.dumps(tomllib.loads(text), default=_day))
        mixture = file.recipe.get("mixture", MISSING)
        if mixture == MISSING:
            raise BadInput(f"{path}: [recipe] mixture is missing; name a manifest of [data.manifests]")
        if isinstance(mixture, str):
            if mixture not in file.data.manifests:
                known = ", ".join(file.data.manifests)
                raise BadInput(
                    f"{path}, [recipe] mixture={mixture!r} is no manifest of [data.manifests]; known: {known}"
                )
            mixture = file.data.manifests[mixture]
        start = Recipe.model_validate_json(json.dumps({**file.recipe, "mixture": mixture}), strict=True)
    except (RecursionError, TypeError):
        raise BadInput(f"{path} nests too deeply or holds a time; write tables of texts, numbers and lists") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}; mend that line") from None
    except ValidationError as error:
        raise BadInput(f"{path}, {complaint(error)}") from None
    except ValueError as error:  # a number of thousands of digits
        raise BadInput(f"{path} holds a value that cannot be read ({error}); mend it") from None
    scorer = _scorer(path, file.scorer)
    if file.target.category in file.guards:
        raise BadInput(f"{path}: {file.target.category!r} is both target and guard; take it out of [guards]")
    for source in start.mixture:
        if source not in file.data.sources:
            raise BadInput(f"{path}, [recipe] mixture weighs {source!r}{nearest(source, file.data.sources)}")
    study = Study(path, text, file, scorer, start)
    try:
        check_recipe(start, file.probe.micro_batch)
        _ = study.lanes
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    return study


def _scorer(path: Path, table: Mapping[str, Any]) -> ScorerSettings:
    try:
        return scorer_settings(table)
    except BadInput as error:
        raise BadInput(f"{path}, {error}") from None
    except ValidationError as error:
        raise BadInput(f"{path}, {complaint(error, scorer_class(table.get('kind', 'execution')).Settings)}") from None


def complaint(error: ValidationError, scorer: type[BaseModel] | None = None) -> str:
    """The first complaint as one sentence: where, the law, the value, the remedy; of a scorer's settings if any."""
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    where = [str(part) for part in problem["loc"]]
    section = f"[{'.'.join(where[:-1])}] " if len(where) > 1 else "[recipe] " if error.title == "Recipe" else ""
    section = "[scorer] " if scorer else section
    name, kind = where[-1] if where else "", problem["type"]
    if kind == "extra_forbidden":
        return f"{section}has no key {name!r}{nearest(name, _known_keys(error.title, where[:-1], scorer))}"
    if kind == "missing":
        return f"{section}{name} is missing; add it"
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"[{'.'.join(where)}] {message}"
    if kind == "model_type":
        return f"{section}{name}={problem['input']!r} is refused: it is a table of keys; write {name} = {{ ... }}"
    return f"{section}{name}={problem['input']!r} is refused: {lower_first(message)}; give such a value"


def _known_keys(title: str, where: list[str], scorer: type[BaseModel] | None) -> list[str]:
    if scorer:
        return list(scorer.model_fields)
    if title == "Recipe":
        return list(Recipe.model_fields)
    if len(where) >= 2 and where[0] == "lanes" and where[1] in KNOB_NAMES and len(where) == 2:
        return ["share", *KNOB_NAMES[where[1]]]
    model: type[BaseModel] = StudyFile
    for part in where:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ["low", "high", "step", "factor", "reach", "choices"]
        model = annotation
    return list(model.model_fields)
