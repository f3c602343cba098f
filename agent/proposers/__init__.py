"""The proposers. Most moves of a wave come from its design (agent/policy/wave_design.py). In a first wave Optuna
chooses among many near values. A language model, or a proposer of another package, names a move in each of its turns.

A built-in proposer is one file here and one branch of ``choose``. Another package adds one by an entry point of
``nightlane.proposers`` that names an OpenProposer; everything that it needs can be imported from here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.proposers.protocol import Declined, Expected, Proposer, Situation, Suggestion, Tried
from agent.study.schema import PROPOSERS, ProposerSettings
from common.errors import BadInput
from common.plugins import plugins

__all__ = [
    "Chain",
    "Declined",
    "Expected",
    "OpenProposer",
    "Proposer",
    "ProposerSettings",
    "Situation",
    "Suggestion",
    "Tried",
    "choose",
]


class OpenProposer(Protocol):
    """What an entry point of nightlane.proposers names."""

    def __call__(
        self, settings: ProposerSettings, environment: Mapping[str, str], note: Callable[[str], None]
    ) -> Proposer:
        """Open a proposer; BadInput when a setting or an environment variable is missing.

        ``note`` writes a line into the session's log. When the proposer declines a turn, the wave is drawn without it.
        """


@dataclass(frozen=True)
class Chain:
    """``first`` proposes in its ``share`` of the turns; each recipe of a wave is a turn. The wave's design chooses all
    other moves; in a first wave, ``last`` chooses among the near values of a knob if there are many.

    ``description``: one line for the log.
    """

    first: Proposer | None
    last: Proposer
    share: float
    description: str

    def is_turn_of_first(self, turn: int) -> bool:
        """Turns are spread evenly: turn t belongs to ``first`` if floor(share t) > floor(share (t - 1))."""
        return self.first is not None and int(self.share * turn + 1e-9) > int(self.share * (turn - 1) + 1e-9)

    def ask_first(self, situation: Situation) -> Suggestion | Declined:
        return self.first.propose(situation) if self.first is not None else Declined()


def choose(settings: ProposerSettings, environment: Mapping[str, str], note: Callable[[str], None]) -> Chain:
    """The proposers of a study; EndpointUnavailable if it names a language model that cannot be reached."""
    from agent.proposers.tpe import TpeProposer

    tpe = TpeProposer()
    if settings.kind not in PROPOSERS:
        opened: OpenProposer = plugins("proposers")[settings.kind].load()
        return Chain(opened(settings, environment, note), tpe, 1.0, f"proposer: {settings.kind}, then optuna")
    model = proposing_model(settings, environment)
    if model is None:
        return Chain(None, tpe, 0.0, f"proposer: optuna ({_why_optuna(settings, has_endpoint(environment))})")
    from agent.proposers.llm import LanguageModelProposer

    language_model = LanguageModelProposer(settings, model, note, environment)
    language_model.check()
    share = 1.0 if settings.kind == "language_model" else settings.share
    kind = "language model, then optuna" if share == 1 else f"hybrid, language model in {share:.0%} of the turns"
    return Chain(language_model, tpe, share, f"proposer: {kind} ({model})")


def proposing_model(settings: ProposerSettings, environment: Mapping[str, str]) -> str | None:
    """The language model that proposes; None if none does. BadInput if the study asks for one and it is not set."""
    model, reachable = settings.model or environment.get("OPENAI_MODEL", ""), has_endpoint(environment)
    if settings.kind not in PROPOSERS or settings.kind == "optuna":
        return None
    if reachable and model:
        return model
    if settings.kind == "auto":
        return None
    missing = "a model" if reachable else "OPENAI_BASE_URL or OPENAI_API_KEY"
    raise BadInput(
        f"[proposer] kind={settings.kind!r} needs an endpoint and {missing} is not set; set OPENAI_BASE_URL or "
        'OPENAI_API_KEY and name the model under [proposer] or in OPENAI_MODEL, or use kind = "optuna"'
    )


def has_endpoint(environment: Mapping[str, str]) -> bool:
    """Whether an endpoint is set."""
    return bool(environment.get("OPENAI_BASE_URL") or environment.get("OPENAI_API_KEY"))


def _why_optuna(settings: ProposerSettings, reachable: bool) -> str:
    if settings.kind == "optuna":
        return "as the study asks"
    if reachable:
        return "an endpoint is configured but no model is named; name it under [proposer] or in OPENAI_MODEL"
    return "no endpoint is configured; set OPENAI_BASE_URL or OPENAI_API_KEY, and OPENAI_MODEL, for the hybrid"
