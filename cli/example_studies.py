"""The studies that ``nightlane init`` writes: one for each way of scoring, from the files in cli/example_study.

templates/   study.toml and program.md, of every kind
code/        pairs and prompts with tests        text/    pairs and prompts of both kinds below
rules/       rules.toml                          judge/   rubric.toml and calibration.jsonl
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import BadInput
from common.wording import nearest

EXAMPLES = Path(__file__).with_name("example_study")
TEMPLATES = ("study.toml", "program.md")
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class ExampleStudy:
    """``about``: what the kind is for. ``scored``: how, in the study's first line. ``folders``: of the files that are
    copied as they are. ``model``, ``small``: base models for a GPU and for a CPU."""

    kind: str
    about: str
    scored: str
    folders: tuple[str, ...]
    target: str
    guards: tuple[str, ...]
    model: str
    small: str
    max_length: int
    max_new_tokens: int


KINDS = (
    ExampleStudy(
        kind="code",
        about="programs with tests, run in a sandbox",
        scored="by tests",
        folders=("code",),
        target="strings",
        guards=("lists",),
        model="Qwen/Qwen2.5-Coder-3B-Instruct",
        small="Qwen/Qwen2.5-Coder-0.5B-Instruct",
        max_length=2048,
        max_new_tokens=512,
    ),
    ExampleStudy(
        kind="rules",
        about="answers in words, by phrases, patterns and lengths, without a model",
        scored="by rules",
        folders=("text", "rules"),
        target="complaints",
        guards=("howto", "orders"),
        model="Qwen/Qwen2.5-3B-Instruct",
        small="Qwen/Qwen2.5-0.5B-Instruct",
        max_length=1024,
        max_new_tokens=256,
    ),
    ExampleStudy(
        kind="judge",
        about="answers in words, by a language model with a rubric, at an endpoint",
        scored="by a judge",
        folders=("text", "judge"),
        target="complaints",
        guards=("howto", "orders"),
        model="Qwen/Qwen2.5-3B-Instruct",
        small="Qwen/Qwen2.5-0.5B-Instruct",
        max_length=1024,
        max_new_tokens=256,
    ),
)
DEFAULT = KINDS[0]


def kinds_in_words() -> str:
    """All kinds, one after the other, for messages."""
    return "; ".join(f"{one.kind}: {one.about}" for one in KINDS)


def example_named(kind: str) -> ExampleStudy:
    """The example of this kind; BadInput if there is none."""
    for example in KINDS:
        if example.kind == kind:
            return example
    raise BadInput(f"--kind {kind!r} is not known{nearest(kind, [one.kind for one in KINDS])} ({kinds_in_words()})")


def texts_of(example: ExampleStudy, name: str = "my-study") -> Mapping[str, str]:
    """File name -> text, of an example study with this ``name``."""
    import jinja2

    loader = jinja2.FileSystemLoader(EXAMPLES / "templates", encoding="utf-8")
    templates = jinja2.Environment(
        loader=loader, trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    written = {file: templates.get_template(f"{file}.jinja").render(vars(example), name=name) for file in TEMPLATES}
    copied = [path for folder in example.folders for path in sorted((EXAMPLES / folder).iterdir()) if path.is_file()]
    return {**written, **{path.name: path.read_text(encoding="utf-8") for path in copied}}


def write_example_study(directory: Path, kind: str = DEFAULT.kind) -> list[Path]:
    """Write the files of a study with the folder's name, study.toml first, and return their paths. BadInput if one of
    them exists already."""
    example, name = example_named(kind), NOT_IN_A_NAME.sub("-", directory.resolve().name).strip("-")
    texts = texts_of(example, name) if name else texts_of(example)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{directory} cannot be made a folder ({error.strerror}); name a new or empty one") from None
    files = {directory / name: text for name, text in texts.items()}
    for path in files:
        if path.exists():
            raise BadInput(f"{path} exists and init overwrites nothing; name a new or empty folder")
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)
