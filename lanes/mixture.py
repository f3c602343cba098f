"""The mixture lane: which sources the training rows come from, and which of their rows.

A knob is a named manifest, one source's weight, or one filter of a source (probes/inputs/filters.py applies it).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from common.errors import BadInput
from common.wording import lower_first
from lanes.knobs import Knob, KnobDefault, KnobSettings, LaneContext, Value, changed, ladder, merge_settings
from lanes.recipe import Duplicates, Recipe, SourceFilter

LANE = "mixture"
WEIGHT = KnobSettings(low=0.0, high=4.0, step=0.5, reach=1)
FILTERS: tuple[KnobDefault, ...] = (
    KnobDefault("min_margin", KnobSettings(low=0.0, high=8.0, step=1.0, reach=2), searched=False),
    KnobDefault("length_ratio", KnobSettings(low=0.0, high=0.8, step=0.2, reach=2), searched=False),
    KnobDefault("duplicates", KnobSettings(choices=Duplicates.__args__), searched=False),  # type: ignore[attr-defined]
    KnobDefault("subset", KnobSettings(choices=(0.125, 0.25, 0.5, 1.0), reach=1), searched=False),
)
KNOB_NAMES = ("manifest", "weights", *(default.name for default in FILTERS))
Manifests = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class ManifestKnob(Knob):
    """The whole mixture at once, by the name of a manifest; "custom" if no manifest has the recipe's shares."""

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


@dataclass(frozen=True)
class FilterKnob(Knob):
    """One filter of one source, called ``FILTER.SOURCE``."""

    part: str = ""
    source: str = ""

    def read(self, recipe: Recipe) -> Value:
        value: Value = getattr(recipe.filters.get(self.source, SourceFilter()), self.part)
        return value

    def write(self, recipe: Recipe, value: Value) -> Recipe:
        own = recipe.filters.get(self.source, SourceFilter()).model_dump()
        return changed(recipe, {"filters": {**recipe.filters, self.source: {**own, self.part: value}}})


def manifest_name(recipe: Recipe, manifests: Manifests) -> str:
    """The manifest whose shares the recipe has, or "custom"."""
    for name, weights in manifests.items():
        if changed(recipe, {"mixture": weights}).shares == recipe.shares:
            return name
    return "custom"


def _require_distinct(names: Iterable[str], manifests: Manifests) -> None:
    """BadInput if two manifests give the same shares: a move between them would change nothing."""
    seen: dict[tuple[tuple[str, float], ...], str] = {}
    for name in names:
        total = sum(manifests[name].values())
        shares = tuple(sorted((s, round(w / total, 9)) for s, w in manifests[name].items() if w > 0))
        if shares in seen:
            raise BadInput(f"the manifests {seen[shares]!r} and {name!r} give every source the same share; drop one")
        seen[shares] = name


def build(settings: Mapping[str, KnobSettings], context: LaneContext) -> list[Knob]:
    """The knob ``manifest``, and for each source ``weight.SOURCE`` and the filters that the study names, such as
    ``subset.SOURCE``. Weights and filters have the same settings for every source."""
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
    filters = [default for default in FILTERS if default.name in settings]
    return knobs + [_filter(default, settings[default.name], source) for default in filters for source in sources]


def _filter(default: KnobDefault, settings: KnobSettings, source: str) -> FilterKnob:
    """A filter of a source; the value that keeps all rows is always among its values."""
    merged, field = merge_settings(default.settings, settings), SourceFilter.model_fields[default.name]
    if merged.choices is None:
        values: tuple[Value, ...] = ladder(f"[lanes.{LANE}] {default.name}", merged.low or 0.0, merged)
    else:
        values = merged.choices
    values = tuple(dict.fromkeys((field.default, *values)))
    for value in values:
        try:
            SourceFilter.model_validate({default.name: value})
        except ValidationError as error:
            law = lower_first(error.errors()[0]["msg"])
            raise BadInput(f"[lanes.{LANE}] {default.name}={value!r} cannot be: {law}; take it out") from None
    ordered = all(isinstance(value, int | float) for value in values)
    values = tuple(sorted(values)) if ordered else values
    return FilterKnob(f"{default.name}.{source}", LANE, values, ordered, merged.reach, part=default.name, source=source)
