"""The mixture lane: which sources the training rows come from. A knob is a named manifest or one source's weight."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from common.errors import BadInput
from lanes.knobs import Knob, KnobSettings, LaneContext, Value, changed, ladder, merge_settings
from lanes.recipe import Recipe

LANE = "mixture"
KNOB_NAMES = ("manifest", "weights")
WEIGHT = KnobSettings(low=0.0, high=4.0, step=0.5, reach=1)
Manifests = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class ManifestKnob(Knob):
    """The whole mixture at once, by the name of a manifest; reads "custom" when the weights are no manifest's."""

    manifests: Manifests | None = None

    def read(self, recipe: Recipe) -> Value:
        return manifest_name(recipe, self.manifests or {})

    def write(self, recipe: Recipe, value: Value) -> Recipe:
        return changed(recipe, {"mixture": (self.manifests or {})[str(value)]})


@dataclass(frozen=True)
class WeightKnob(Knob):
    """One source's weight, called ``weight.SOURCE``; the other weights stay."""

    source: str = ""

    def read(self, recipe: Recipe) -> Value:
        return recipe.mixture.get(self.source, 0.0)

    def write(self, recipe: Recipe, value: Value) -> Recipe:
        return changed(recipe, {"mixture": {**recipe.mixture, self.source: value}})


def manifest_name(recipe: Recipe, manifests: Manifests) -> str:
    """The manifest whose shares the recipe has, or "custom"."""
    for name, weights in manifests.items():
        if changed(recipe, {"mixture": weights}).shares == recipe.shares:
            return name
    return "custom"


def _require_distinct(names: Iterable[str], manifests: Manifests) -> None:
    """Two names for the same shares would be a move that changes nothing."""
    seen: dict[tuple[tuple[str, float], ...], str] = {}
    for name in names:
        total = sum(manifests[name].values())
        shares = tuple(sorted((s, round(w / total, 9)) for s, w in manifests[name].items() if w > 0))
        if shares in seen:
            raise BadInput(f"the manifests {seen[shares]!r} and {name!r} give every source the same share; drop one")
        seen[shares] = name


def build(settings: Mapping[str, KnobSettings], context: LaneContext) -> list[Knob]:
    """``manifest`` and, for each source, ``weight.SOURCE``; settings for ``weights`` hold for every source."""
    manifests, sources = context.manifests, context.sources
    knobs: list[Knob] = []
    if not settings or "manifest" in settings:
        names = tuple(map(str, settings.get("manifest", KnobSettings()).choices or manifests))
        for name in names:
            if name not in manifests:
                raise BadInput(f"[lanes.mixture] names the manifest {name!r}, which [data.manifests] lacks; add it")
        _require_distinct(names, manifests)
        knobs.append(ManifestKnob("manifest", LANE, names, ordered=False, manifests=manifests))
    if not settings or "weights" in settings:
        merged = merge_settings(WEIGHT, settings.get("weights", KnobSettings()))
        values = ladder(f"[lanes.{LANE}] weights", merged.low or 0.0, merged)
        knobs += [
            WeightKnob(f"weight.{source}", LANE, values, ordered=True, reach=merged.reach, source=source)
            for source in sources
        ]
    return knobs
