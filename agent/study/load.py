"""Reads a study file and validates it as a whole, before anything runs."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.policy.settings import RETIRED
from agent.study.complaints import complaint
from agent.study.schema import StudyFile
from common.digests import digest_of
from common.errors import BadInput
from common.wording import nearest
from lanes import Recipe, SearchSpace, build_lanes, check_recipe
from probes.inputs.material import Material
from probes.inputs.rows.texts import BadRow
from probes.inputs.settings import MOVED, ScorerSettings
from probes.inputs.toml_file import parse_strict
from probes.scoring import scorer_class, scorer_settings


@dataclass(frozen=True)
class Study:
    """A validated study: the settings of the file, and what follows from them. Relative paths start in its folder.

    ``left_out``: source -> readable rows that are not trained on (agent/study/material_check.py).
    """

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

    @property
    def _deciding(self) -> dict[str, Any]:
        """The sections of the file that decisions depend on, without must_see, which changes no decision."""
        decides = {"model", "prompts", "target", "guards", "probe", "policy"}
        return self.file.model_dump(mode="json", include=decides, exclude={"policy": {"must_see"}})

    @cached_property
    def question(self) -> str:
        """Digest of what decisions depend on: model, starting recipe, sources, prompts, scorer, target, guards, probe,
        policy, and the serving endpoint if one generates the answers.

        Lanes, manifests, budget, proposer, runner, harvest and must_see do not enter it: they may change between
        sessions without making readings incomparable.
        """
        parts = [self._deciding, self.scorer.model_dump(mode="json"), self.file.data.sources, self.start.digest]
        served = [self.file.serving.model_dump(mode="json")] if self.file.serving.kind == "endpoint" else []
        return digest_of([*parts, *served])

    @property
    def deciding_keys(self) -> dict[str, Any]:
        """The keys that the question depends on: section.key -> value."""
        sections = {
            **self._deciding,
            "scorer": self.scorer.model_dump(mode="json"),
            "data.sources": self.file.data.sources,
            "recipe": self.start.model_dump(mode="json"),
            "serving": self.file.serving.model_dump(mode="json"),
        }
        return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}

    @cached_property
    def material(self) -> Material:
        file = self.file
        return Material(
            folder=self.path.parent,
            model=file.model,
            data=file.data,
            prompts=file.prompts,
            scorer=self.scorer,
            probe=file.probe,
            serving=file.serving,
            harvest=file.harvest,
            refused=self.left_out,
        )

    @cached_property
    def lanes(self) -> SearchSpace:
        return build_lanes(
            self.file.lanes,
            self.start,
            self.file.data.manifests,
            tuple(self.file.data.sources),
            self.material.filter_refusal,
        )

    @cached_property
    def program(self) -> str:
        """The person's instructions to the language model; empty if the study names no file."""
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
        """Check prompts, data, scorer and instructions: everything that can be refused without the model."""
        self.material.check([self.target, *self.guards])
        self.lanes.check(self.start)
        _ = self.program
        if not any(self.lanes.moves(self.start, lane) for lane in self.lanes.shares):
            raise BadInput(
                f"{self.path}: no lane with a share has a legal move from the starting recipe; widen a knob or raise a "
                "share under [lanes]"
            )


def load_study(path: Path) -> Study:
    """Read and validate a study file; BadInput in one sentence for the first rule that it breaks."""
    return parse_study(path, _text(path))


def reload_study(study: Study) -> Study:
    """The study as its file is now, with the same rows left out."""
    text = _text(study.path)
    return study if text == study.text else replace(parse_study(study.path, text), left_out=study.left_out)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadInput(
            f"{path} cannot be read as a study file; give the path of a study.toml, or make one with init"
        ) from None


def recorded_study(path: Path, text: str) -> Study:
    """The study that a session began with, perhaps under an older version: keys of [policy] that no longer exist are
    ignored, and keys that moved from [probe] are read as keys of [runner]."""
    return parse_study(path, text, older=True)


def _modern(table: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of an older version's study, converted to this version."""
    modern = dict(table)
    if isinstance(policy := table.get("policy"), dict):
        modern["policy"] = {name: value for name, value in policy.items() if name not in RETIRED}
    if isinstance(probe := table.get("probe"), dict):
        modern["probe"] = {name: value for name, value in probe.items() if name not in MOVED}
        if moved := {name: value for name, value in probe.items() if name in MOVED}:
            modern["runner"] = {**table.get("runner", {}), **moved}
    return modern


def named_mixture(mixture: object, manifests: Mapping[str, Any], where: str) -> object:
    """The weights of a manifest if ``mixture`` is its name; else what was given. BadInput for another name."""
    if not isinstance(mixture, str):
        return mixture
    if mixture not in manifests:
        known = ", ".join(manifests)
        raise BadInput(f"{where} mixture={mixture!r} is no manifest of [data.manifests]; known: {known}")
    return manifests[mixture]


def parse_study(path: Path, text: str, older: bool = False) -> Study:
    """A study from its text. Relative paths start in the folder of ``path``, which messages name. ``older``: accept
    keys of older versions."""
    try:
        table = tomllib.loads(text)
        file = parse_strict(StudyFile, _modern(table) if older else table)
        mixture = file.recipe.get("mixture", "")
        if mixture == "":
            raise BadInput(f"{path}: [recipe] mixture is missing; name a manifest of [data.manifests]")
        mixture = named_mixture(mixture, file.data.manifests, f"{path}, [recipe]")
        start = parse_strict(Recipe, {**file.recipe, "mixture": mixture})
    except (RecursionError, TypeError):
        raise BadInput(f"{path} nests too deeply or holds a time; write tables of texts, numbers and lists") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}; correct that line") from None
    except ValidationError as error:
        raise BadInput(f"{path}, {complaint(error)}") from None
    except ValueError as error:  # a number of thousands of digits
        raise BadInput(f"{path} holds a value that cannot be read ({error}); correct it") from None
    scorer = _scorer(path, file.scorer)
    if file.target.category in file.guards:
        raise BadInput(f"{path}: {file.target.category!r} is both target and guard; take it out of [guards]")
    for source in start.mixture:
        if source not in file.data.sources:
            raise BadInput(f"{path}, [recipe] mixture weighs {source!r}{nearest(source, file.data.sources)}")
    for source in start.filters:
        if source not in file.data.sources:
            raise BadInput(f"{path}, [recipe] filters names {source!r}{nearest(source, file.data.sources)}")
    study = Study(path, text, file, scorer, start)
    try:
        check_recipe(start)
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
