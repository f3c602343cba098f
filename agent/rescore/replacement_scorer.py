"""The file of another scorer: a table [scorer], as in a study, and optionally [prompts] with other checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agent.study.complaints import complaint
from common.errors import BadInput
from probes.inputs.material import Material
from probes.inputs.prompts import Prompt, load_prompts
from probes.inputs.settings import ScorerSettings
from probes.inputs.toml_file import read_toml
from probes.result.reading import ProbeKey
from probes.scoring import scorer_class, scorer_digest, scorer_settings


@dataclass(frozen=True)
class ReplacementScorer:
    """``folder``: where its relative paths start. ``prompts``: a file of prompts with the checks that it needs; None
    for the study's own prompts."""

    settings: ScorerSettings
    folder: Path
    prompts: Path | None = None

    @property
    def digest(self) -> str:
        return scorer_digest(self.settings, self.folder)

    def prompts_of(self, material: Material, key: ProbeKey) -> Sequence[Prompt]:
        """The probe prompts, checked by this scorer. BadInput if it refuses them, or if they are the study's own and
        changed since the session."""
        if self.prompts is not None:
            prompts = tuple(prompt for prompt in load_prompts(self.prompts) if prompt.split == "probe")
        else:
            prompts = material.probe_prompts
            if material.prompts_digest != key.prompts:
                raise BadInput(
                    f"answers are scored with the prompts that were asked, and {material.prompt_file} has changed "
                    "since the session; put it back, or name a file under [prompts] beside [scorer]"
                )
        scorer_class(self.settings.kind).check(self.settings, self.folder, prompts)
        return prompts


def read_replacement_scorer(path: Path) -> ReplacementScorer:
    """Read the file of another scorer; a study file is one, too. BadInput for the first law it breaks."""
    table = read_toml(path, "--scorer")
    if not isinstance(own := table.get("scorer"), dict):
        raise BadInput(f"{path} has no table [scorer]; write one, as in a study")
    try:
        settings = scorer_settings(own)
    except ValidationError as error:
        raise BadInput(f"{path}, {complaint(error, scorer_class(own.get('kind', 'execution')).Settings)}") from None
    except BadInput as error:
        raise BadInput(f"{path}, {error}") from None
    section = table.get("prompts", {})
    named = section.get("file") if isinstance(section, dict) else None
    if named is not None and not isinstance(named, str):
        raise BadInput(f"{path}: [prompts] file={named!r} is no text; name a file of prompts")
    return ReplacementScorer(settings, path.parent, path.parent / named if named else None)
