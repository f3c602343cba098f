"""The study file: one TOML table per concern, validated as a whole before anything runs.

Unknown keys are refused with the nearest known one named; every message is one sentence with its remedy.
"""

from typing import Any, Literal

from pydantic import Field, field_validator

from agent.policy.settings import PolicySettings
from common.plugins import unknown_kind
from common.wording import nearest
from lanes import LANE_NAMES, LaneSettings
from preferences.text_gate.settings import TextGateSettings
from probes.inputs.settings import (
    DataSettings,
    HarvestSettings,
    ModelSettings,
    ProbeSettings,
    PromptSettings,
    RunnerSettings,
    Section,
    ServingSettings,
)


class Target(Section):
    """``[target]``: the category to improve, or "overall"."""

    category: str
    """The category to improve, or "overall"."""


class Budget(Section):
    """``[budget]``: a session ends at the first of these limits."""

    decisions: int | None = Field(None, ge=1)
    """Most changes that a session proposes."""
    hours: float | None = Field(8.0, gt=0)
    """Most hours of running; time in which the machine is suspended does not count."""
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
    """``[proposer]``: who proposes. There is an endpoint if OPENAI_BASE_URL or OPENAI_API_KEY is set."""

    kind: str = "auto"
    """optuna (no language model: waves are designed and drawn from the readings; Optuna's TPE chooses in a first wave
    where a knob has many near values), language_model, hybrid (a language model names a move for a share of the
    recipes), the name of an installed proposer (an entry point of nightlane.proposers), or auto: hybrid if an endpoint
    and a model are set, else optuna."""
    model: str = ""
    """Name of the language model; if empty, that of OPENAI_MODEL."""
    share: float = Field(0.5, gt=0, le=1)
    """The language model's share of the turns of a hybrid; each recipe of a wave is a turn."""
    program: str = ""
    """A text file with your instructions to the language model."""
    timeout: float = Field(60.0, gt=0)
    """Most seconds of a turn, all of its requests together."""
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


class NotifySettings(Section):
    """``[notify]``: who is notified of a session. No decision depends on it."""

    urls: tuple[str, ...] = ()
    """Addresses in the syntax of apprise: ntfys://topic, mailto://..., json://host/path. ${NAME} stands for the
    environment variable NAME, so that the study need not contain a secret."""


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
    text_gate: TextGateSettings = TextGateSettings()
    lanes: dict[str, LaneSettings] = Field(default_factory=lambda: {lane: LaneSettings() for lane in LANE_NAMES})
    policy: PolicySettings = PolicySettings()
    budget: Budget = Budget()
    proposer: ProposerSettings = ProposerSettings()
    runner: RunnerSettings = RunnerSettings()
    notify: NotifySettings = NotifySettings()

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
