"""Every command has --json, and prints what docs/json.md says. ``nightlane`` holds all outputs of the suite to it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import nightlane, require_documented
from json_faults import faults

from cli.json_output import MEANINGS, OUTPUTS
from cli.main import app
from cli.skill import SKILL
from testing import simulated_study

ROOT = Path(__file__).parents[2]


def leaves(group: Any, *names: str) -> list[tuple[str, Any]]:
    found = []
    for name, command in group.commands.items():
        own = leaves(command, *names, name) if hasattr(command, "commands") else [(" ".join((*names, name)), command)]
        found += own
    return found


def test_every_command_has_json_with_a_schema_in_the_order_of_the_help() -> None:
    commands = leaves(typer.main.get_command(app))
    assert [name for name, _ in commands] == list(OUTPUTS)
    for name, command in commands:
        options = [option for parameter in command.params for option in parameter.opts]
        assert "--json" in options, name


def test_a_session_from_init_to_its_report_prints_documented_json(tmp_path: Path) -> None:
    made = json.loads(nightlane("init", tmp_path / "mine", "--kind", "rules", "--json").stdout)
    assert Path(made["study"]) in [Path(path) for path in made["files"]]
    study = simulated_study.write_study(tmp_path / "study", simulated_study.study_text(decisions=3))
    at = ("--workspace", tmp_path / "night")
    checked = json.loads(nightlane("check", study, *at, "--json").stdout)
    assert checked["probe_prompts"].keys() == {"arithmetic", "lists"}
    assert checked["seconds_per_probe"] is None
    done = json.loads(nightlane("run", study, *at, "--probes", "40", "--json").stdout)
    assert (done["state"], Path(done["report"]).name) == ("finished", "report.md")
    status = json.loads(nightlane("status", *at, "--json").stdout)
    assert status["session"] == done["session"]
    lines = nightlane("watch", *at, "--json").stdout.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["finished"]
    report = json.loads(nightlane("report", *at, "--json").stdout)
    assert json.loads(nightlane("explain", "001", *at, "--json").stdout)["session"] == done["session"]
    nightlane("doctor", "--offline", *at, "--json")
    assert Path(json.loads(nightlane("service", study, *at, "--output", tmp_path, "--json").stdout)["file"]).exists()
    assert report


def test_the_stores_print_documented_json(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"What is {place}?", "chosen": f"It is {place}.", "rejected": "No.", "chosen_score": 8}
        for place in ("tea", "ice")
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    study, at = simulated_study.write_study(tmp_path / "study"), ("--workspace", tmp_path, "--json")
    assert (
        json.loads(
            nightlane("pairs", "import", tmp_path / "rows.jsonl", "--kind", "dpo", "--study", study, *at).stdout
        )["new"]
        == 2
    )
    listed = json.loads(nightlane("pairs", "list", *at).stdout)
    row = listed[0]["id"]
    assert json.loads(nightlane("pairs", "show", row, *at).stdout)["id"] == row
    assert json.loads(nightlane("pairs", "vote", row, "up", *at).stdout)["up"] == 1
    assert nightlane("pairs", "audit", *at).stdout


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"study": "a", "files": []}, ""),
        ({"study": "a"}, "the whole lacks 'files'"),
        ({"study": 1, "files": []}, "study is no string: 1"),
        ({"study": "a", "files": [None]}, "files[0] is no string: None"),
        ({"study": "a", "files": [], "more": 1}, "the whole has 'more', which is not documented"),
    ],
)
def test_an_output_that_is_not_as_documented_is_found(value: Any, fault: str) -> None:
    assert list(faults(OUTPUTS["init"].schema, value)) == ([fault] if fault else [])


def test_an_undocumented_output_fails_the_test_that_ran_the_command() -> None:
    with pytest.raises(AssertionError, match=r"nightlane init --json is not as docs/json\.md says"):
        require_documented(["init", "there", "--json"], '{"study": "a"}')


def test_the_skill_names_only_commands_and_options_that_there_are() -> None:
    assert nightlane("skill").stdout.strip() == str(SKILL)
    text = SKILL.read_text(encoding="utf-8")
    assert "docs/" not in text  # they are in no wheel
    known = dict(leaves(typer.main.get_command(app)))
    blocks = "\n".join(text.split("```")[1::2])
    written = [*re.findall(r"^nightlane .*", blocks, re.MULTILINE), *re.findall(r"`(nightlane [^`]+)`", text)]
    asked = [line.split("#")[0].split() for line in written]
    assert len(asked) > 12
    for words in asked:
        name = next(name for count in (2, 1) if (name := " ".join(words[1 : 1 + count])) in known)
        options = [option for parameter in known[name].params for option in parameter.opts]
        assert all(word in options for word in words if word.startswith("--")), words


def test_the_skill_has_the_front_matter_that_agents_read() -> None:
    front = SKILL.read_text(encoding="utf-8").split("---")[1]
    assert [line.split(":")[0] for line in front.strip().splitlines()] == ["name", "description"]


def test_no_meaning_is_left_of_a_key_that_no_command_prints() -> None:
    schemas = [output.schema for output in OUTPUTS.values()]
    types = [own for schema in schemas for own in (schema, *schema.get("$defs", {}).values())]
    printed = {(own.get("title"), name) for own in types for name in own.get("properties", {})}
    own = {(kind, name) for kind, keys in MEANINGS.items() if kind != "every" for name in keys}
    assert own <= printed
    assert MEANINGS["every"].keys() <= {name for _, name in printed - own}


def test_schema_prints_the_keys_of_a_command_with_their_meanings() -> None:
    text = nightlane("schema", "pairs", "audit").stdout
    assert "- `contaminated`: list of [Contaminated](#contaminated). Rows that ask a probe or holdout prompt." in text
    assert "## Contaminated" in text
    schema = json.loads(nightlane("schema", "skill", "--json").stdout)
    assert schema["properties"]["file"]["description"] == "The path of SKILL.md."
    assert "'statu' is not a command of nightlane; did you mean 'status'?" in nightlane("schema", "statu").stderr
