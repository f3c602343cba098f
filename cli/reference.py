"""The generated pages of docs/: study-reference.md, results-tsv.md, commands.md and json.md.

python -m cli.reference     writes them; tests/docs/test_reference.py checks that they equal the code
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent.ledger.results.columns import DEFINITIONS
from agent.policy.settings import PolicySettings
from agent.study.schema import Budget, NotifySettings, ProposerSettings, StudyFile, Target
from cli.exit_codes import EXIT_CODES
from cli.json_output import OUTPUTS
from cli.json_output.markdown import shape, types
from cli.main import app
from lanes import Recipe, SourceFilter
from lanes.hyperparameters import KNOBS
from lanes.knobs import KnobSettings
from lanes.mixture import FILTERS, WEIGHT
from lanes.search_space import LANES, LaneSettings
from preferences.text_gate.settings import TextGateSettings
from probes.inputs.filters import FEWEST_ROWS
from probes.inputs.settings import (
    DataSettings,
    HarvestSettings,
    ModelSettings,
    ProbeSettings,
    PromptSettings,
    RunnerSettings,
    ScorerSettings,
    ServingSettings,
)
from probes.run.failures import MEANINGS
from probes.scoring import SCORERS
from view.reasons import WORDS

DOCS = Path(__file__).parents[1] / "docs"
GENERATED = "<!-- Written by python -m cli.reference; edit the code instead. -->"

SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("model", ModelSettings, "The base model and how it is loaded. See [models.md](models.md)."),
    ("recipe", Recipe, "The recipe from which the search starts: every parameter of a training run."),
    ("data", DataSettings, "Preference rows by source, and mixtures of the sources. See [data.md](data.md)."),
    ("prompts", PromptSettings, "The prompts that are answered, in three disjoint splits."),
    ("target", Target, "What must improve."),
    ("probe", ProbeSettings, "What all probes have in common. A change makes old baselines unusable."),
    ("serving", ServingSettings, "What generates the answers. See [serving.md](serving.md)."),
    ("harvest", HarvestSettings, "Answers from which preference pairs are made. See [pairs.md](pairs.md)."),
    (
        "text_gate",
        TextGateSettings,
        "What the text gate refuses (`nightlane pairs certify --text --study`). See [pairs.md](pairs.md). A change "
        "makes no baseline unusable.",
    ),
    ("policy", PolicySettings, "Every threshold of a decision. See [decisions.md](decisions.md)."),
    ("budget", Budget, "A session ends at the first of these limits."),
    ("proposer", ProposerSettings, "Who proposes."),
    ("runner", RunnerSettings, "Where probes run."),
    ("notify", NotifySettings, "Who is notified of a session. See [notices.md](notices.md)."),
)


def study_reference() -> str:
    """Every key of a study file: type, default, bounds and meaning."""
    top = {name: field for name, field in StudyFile.model_fields.items() if name in ("name", "lab")}
    lines = [
        "# The keys of a study file",
        GENERATED,
        "A study is a TOML file. Paths in it are relative to its folder, unknown keys are refused, and "
        "`nightlane check STUDY` validates it. A key without a default is required.",
        "## Top level",
        *_keys(top),
    ]
    for name, settings, about in SECTIONS:
        lines += [f"## [{name}]", about, *_keys(settings.model_fields)]
        if name == "recipe":
            about = (
                f"Which rows of one source are left out; {FEWEST_ROWS} must be left. See [data.md](data.md#filters)."
            )
            lines += ["## [recipe.filters.SOURCE]", about, *_keys(SourceFilter.model_fields)]
    lines += [
        "## [guards]",
        "Name of a category -> margin: how many points of 10 it may lose before it stops a KEEP. More than 0, at most "
        "10. The target cannot be a guard.",
        "## [scorer]",
        "How an answer is scored, from 0 to 10. Every kind has these keys:",
        *_keys(ScorerSettings.model_fields),
    ]
    for scorer in SCORERS:
        own = {
            name: field
            for name, field in scorer.Settings.model_fields.items()
            if name not in ScorerSettings.model_fields
        }
        lines += [f'### kind = "{scorer.kind}"', *_keys(own)]
    lines += [
        "## [lanes.NAME]",
        f"What may change. Lanes: {', '.join(lane.LANE for lane in LANES)}. If a lane names knobs, only these are "
        "searched; `true` means the bounds below.",
        *_keys({"share": LaneSettings.model_fields["share"]}),
        "A knob is a table of these keys:",
        *_keys(KnobSettings.model_fields),
        "Knobs and their bounds:",
        _table(("lane", "knob", "searched by default", "values"), _knob_rows()),
    ]
    return _page(lines)


def results_reference() -> str:
    """Every column of results.tsv, and the codes in it."""
    lines = [
        "# The columns of results.tsv",
        GENERATED,
        "One row per decision, and one per baseline. UTF-8, tabs, one header, dot decimals, empty if missing. A text "
        "that a spreadsheet would take for a formula begins with an apostrophe. New columns are added at the right. "
        "`from view.data.results import read_results` reads the file as a pandas table.",
        _table(
            ("column", "meaning", "unit", "example"),
            ((f"`{one.name}`", one.meaning, one.unit, f"`{one.example}`") for one in DEFINITIONS),
        ),
        "## Reasons",
        _table(("reason", "meaning"), _reason_rows()),
        "## Kinds of failure",
        "A probe that fails for good ends as CRASH with the reason `crash:KIND` and has no score.",
        _table(
            ("kind", "meaning", "recipe at fault"),
            (
                (f"`{kind}`", meaning.words, "yes" if meaning.recipe_at_fault else "no")
                for kind, meaning in MEANINGS.items()
            ),
        ),
    ]
    return _page(lines)


def command_reference() -> str:
    """Every command with its arguments, options and an example."""
    root: Any = typer.main.get_command(app)
    lines = [
        "# Commands",
        GENERATED,
        "Results go to stdout, messages to stderr. `--json` prints figures for scripts ([every key](json.md)). Every "
        "command has `--help`.",
        "`nightlane --version` prints the version. `nightlane --install-completion` installs the completion of "
        "commands and options for bash, zsh, fish or PowerShell; `nightlane --show-completion` prints its script.",
        *(line for names, command in _commands(root) for line in _command(names, command)),
        "## Exit codes",
        _table(("code", "meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items())),
        "[Troubleshooting](troubleshooting.md) says what to do about each.",
    ]
    return _page(lines)


def json_reference() -> str:
    """What every command prints with --json."""
    found: dict[str, dict[str, Any]] = {}
    shown: dict[int, str] = {}
    lines = [
        "# What --json prints",
        GENERATED,
        "With `--json` a command prints one JSON document to stdout and nothing else there; `nightlane watch --json` "
        "prints one on a line for each change. Messages go to stderr, and an error is one sentence there with an exit "
        "code of [its own](commands.md#exit-codes). A command may print more keys in later versions, and a key keeps "
        "its meaning. Scores and effects are in points of 0 to 10, times in ISO 8601, UTC. A key with ? may be absent. "
        "`nightlane schema COMMAND` prints the part of this page on one command, and with `--json` its JSON schema.",
    ]
    for name, output in OUTPUTS.items():
        first = shown.setdefault(id(output.type), name)
        lines.append(f"## nightlane {name}")
        if first != name:
            lines.append(f"The same as [nightlane {first}](#nightlane-{first.replace(' ', '-')}).")
        else:
            found |= types(output.schema)
            lines += shape(output.schema)
    lines += ["## Types", "In alphabetical order."]
    for name in sorted(found):
        lines += [f"### {name}", *shape(found[name])]
    return _page(lines)


PAGES = {
    "study-reference.md": study_reference,
    "results-tsv.md": results_reference,
    "commands.md": command_reference,
    "json.md": json_reference,
}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


def _page(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|").replace("</", "&lt;/")


def _keys(fields: dict[str, FieldInfo]) -> Iterator[str]:
    header = ("key", "type", "default", "bounds", "meaning")
    yield _table(
        header,
        (
            (f"`{name}`", _type(field.annotation), _default(field), _bounds(field), field.description or "")
            for name, field in fields.items()
        ),
    )


def _type(annotation: Any) -> str:
    """A type, in the terms of TOML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{_toml(one)}`" for one in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(one) for one in arguments if one is not type(None)))
    if origin is tuple or annotation is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is not None and arguments and hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    if origin is not None and len(arguments) == 2:
        return f"table of {_type(arguments[1])}"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "date": "date"}
    return names.get(getattr(annotation, "__name__", ""), "any")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is None else f"`{_toml(value)}`"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return str(dict(value))
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f"{value:g}" if isinstance(value, float) and 0 < abs(value) < 1e-3 else str(value)


SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _bounds(field: FieldInfo) -> str:
    """The bounds that pydantic enforces, in words."""
    found = [
        f"{words} {_toml(getattr(law, name))}"
        for law in field.metadata
        for name, words in SIGNS.items()
        if hasattr(law, name)
    ]
    found += [f"at least {law.min_length} long" for law in field.metadata if hasattr(law, "min_length")]
    return ", ".join(found)


def _knob_rows() -> Iterator[Sequence[str]]:
    for knob in KNOBS:
        yield "hyperparameters", f"`{knob.name}`", "yes" if knob.searched else "no", _ladder(knob.settings)
    yield "mixture", "`manifest`", "yes", "the names of [data.manifests]"
    yield "mixture", "`weights`", "yes", f"of each source: {_ladder(WEIGHT)}"
    for knob in FILTERS:
        yield "mixture", f"`{knob.name}`", "no", f"of each source: {_ladder(knob.settings)}"
    order = ", ".join(get_args(Recipe.model_fields["curriculum"].annotation))
    yield "curriculum", "`curriculum`", "yes", order


def _ladder(settings: KnobSettings) -> str:
    if settings.choices:
        values = ", ".join("+".join(one) if isinstance(one, tuple) else str(one) for one in settings.choices)
    else:
        spacing = f"by {settings.step:g}" if settings.step else f"times {settings.factor:g}"
        values = f"{settings.low:g} to {settings.high:g}, {spacing}"
    return f"{values}; reach {settings.reach}" if settings.reach else values


def _reason_rows() -> Iterator[Sequence[str]]:
    yield from ((f"`{name}`", words) for name, words in WORDS.items())
    yield "`guard:NAME`", "this guard was not shown, or is not expected, to stay inside its margin"
    yield "`cumulative:NAME`", "with all KEEPs so far, this guard was not shown to stay inside its margin"
    yield "`holdout_guard:NAME`", "on the holdout prompts, this guard fell by more than its margin from start to end"
    yield "`crash:KIND`", "a probe failed for good; the kinds are below"


def _commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*names, name), command
        if hasattr(command, "commands"):
            yield from _commands(command, *names, name)


def _command(names: tuple[str, ...], command: Any) -> Iterator[str]:
    yield f"##{'#' * (len(names) > 1)} nightlane {' '.join(names)}"
    yield " ".join(command.help.split())
    if hasattr(command, "commands"):
        return
    yield f"```\n{command.epilog.removeprefix('Example: ')}\n```"
    yield _table(("option", "value", "default", "meaning"), (_option(one) for one in command.params))


VALUES = {int: "N", float: "X"}


def _option(parameter: Any) -> Sequence[str]:
    if parameter.param_type_name == "argument":
        name = parameter.metavar.strip("[]")
        return f"`{name}`", "", "required" if parameter.required else "", parameter.help
    name = ", ".join(f"`{one}`" for one in parameter.opts)
    if parameter.is_flag:
        return name, "", "", parameter.help
    value = parameter.metavar or VALUES.get(parameter.type_descriptor.annotation, "TEXT")
    default = "required" if parameter.required else "" if parameter.default in (None, "") else f"`{parameter.default}`"
    return name, value, default, parameter.help


if __name__ == "__main__":
    main()
