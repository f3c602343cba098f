"""The command as a person types it: exit codes, one sentence per mistake, data on stdout and messages on stderr."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import nightlane

from agent.study import material_check
from agent.workspace.folder import Workspace
from cli.commands.session.run import _interrupted
from cli.commands.study import check
from cli.exit_codes import EXIT_CODES, on_interrupt
from cli.main import app, main
from testing import simulated_study
from testing.scripted_endpoint.server import ScriptedEndpoint

COMMANDS: Any = typer.main.get_command(app)
GLOBAL_OPTIONS = ["--version", "--install-completion", "--show-completion"]
SURFACE = {
    "init": "--kind --json",
    "check": "--workspace --show --offline --json",
    "prompts": "--harvest --holdout --force --json",
    "run": "--workspace --decisions --hours --probes --workers --seed --fresh --from-incumbent --json --or-resume "
    "--report-to",
    "resume": "--workspace --decisions --hours --probes --workers --json --report-to",
    "status": "--workspace --json",
    "report": "--workspace --json",
    "explain": "--workspace --json",
    "pause": "--workspace --json",
    "continue": "--workspace --json",
    "stop": "--workspace --after-round --json",
    "skip": "--workspace --json",
    "propose": "--workspace --why --json",
    "note": "--workspace --json",
    "budget": "--workspace --hours --probes --decisions --json",
    "view": "--workspace --port --open --json",
    "watch": "--workspace --notify --once --json",
    "rescore": "--scorer --workspace --dollars --json",
    "service": "--workspace --hours --probes --output --json",
    "evaluate": "--problems --model --study --revision --quantization --adapter --model-adapter --endpoint --samples "
    "--before --merged --llama-cpp --quantised --split --seeds --number --temperature --tokens --seconds --memory "
    "--workspace --json",
    "finetune": "--output --steps --epochs --seed --recipe --objective --save-every --spot-check --report-to "
    "--processes --fsdp --resume --unreviewed --workspace --json",
    "promote": "--recipe --seeds --steps --epochs --compare --processes --unreviewed --workspace --json",
    "export": "--output --to --base --study --llama-cpp --base-gguf --license --base-license --data-license "
    "--workspace --json",
    "ship": "--workspace --hours --probes --steps --epochs --processes --to --unreviewed --json",
    "doctor": "--workspace --repair --offline --json",
    "skill": "--json",
    "schema": "--json",
    "pairs": "",
    "pairs list": "--kind --state --limit --workspace --json",
    "pairs show": "--workspace --json",
    "pairs vote": "--by --workspace --json",
    "pairs import": "--kind --skip-bad --prompt-in-answers --origin --rejected-origin --category --source --by --study "
    "--workspace --json",
    "pairs export": "--kind --format --downvoted --license --study --workspace --json",
    "pairs audit": "--kind --study --workspace --json",
    "pairs score": "--study --kind --prompts --category --dry-run --workspace --json",
    "pairs certify": "--contracts --text --embedder --kind --study --workspace --json",
    "pairs review": "--kind --rows --by --workspace --json",
    "bench": "",
    "bench sandbox": "--json",
    "bench decisions": "--quick --probes --json --landscapes --output",
    "bench faults": "--quick --minutes --kind --case --json --output",
    "bench soak": "--quick --json",
}
"""The commands in the order of the help, each with its options."""


def refused(code: int, *arguments: object, **environment: Any) -> str:
    """The one sentence of a refusal with this exit code."""
    done = nightlane(*arguments, **environment)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("nightlane: ")
    return last


def study(folder: Path, *changes: tuple[str, str]) -> Path:
    text = simulated_study.STUDY
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return simulated_study.write_study(folder, text)


def command_of(name: str) -> Any:
    found: Any = COMMANDS
    for word in name.split():
        found = found.commands[word]
    return found


def options_of(command: Any) -> list[str]:
    return [option for parameter in command.params for option in parameter.opts if option.startswith("--")]


def test_commands_and_options_are_pinned() -> None:
    assert options_of(COMMANDS) == GLOBAL_OPTIONS
    assert list(COMMANDS.commands) == [name for name in SURFACE if " " not in name]
    for command, options in SURFACE.items():
        assert options_of(command_of(command)) == options.split()
    assert set(leaves(COMMANDS)) <= set(SURFACE)


def test_the_help_names_commands_and_exit_codes() -> None:
    listed = nightlane("--help").stdout
    assert re.findall(r"^  (\w+) +[A-Z]", listed.split("Commands:")[1], re.MULTILINE) == [
        name for name in SURFACE if " " not in name
    ]
    for number, meaning in EXIT_CODES.items():
        assert f"{number} {meaning}" in " ".join(listed.split())


def leaves(group: Any, *names: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, *names, name)
        else:
            yield " ".join((*names, name))


@pytest.mark.parametrize("name", list(leaves(COMMANDS)))
def test_the_help_of_every_command_has_a_summary_of_one_line_and_an_example_that_parses(name: str) -> None:
    command, names = command_of(name), name.split()
    words = shlex.split(command.epilog.removeprefix("Example: nightlane "))
    assert words[: len(names)] == names
    command.make_context(names[-1], words[len(names) :])
    assert all(parameter.help for parameter in command.params)
    assert "\n" not in command.help.split("\n\n")[0]


def test_the_version_is_that_of_the_package() -> None:
    assert nightlane("--version").stdout == f"nightlane {version('nightlane')}\n"


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("bash", {"COMP_WORDS": "nightlane fin", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "nightlane fin"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "nightlane fin", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_shells_complete_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str, asked: dict[str, str]
) -> None:
    monkeypatch.setattr("sys.argv", ["nightlane"])
    monkeypatch.setattr(sys.modules["__main__"], "__package__", None)  # else the name is that of python -m pytest
    for name, value in {"_NIGHTLANE_COMPLETE": f"complete_{shell}", **asked}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main()
    assert "finetune" in capsys.readouterr().out


def test_a_session_prints_the_reports_path_and_nothing_else_on_stdout(tmp_path: Path) -> None:
    done = nightlane("run", study(tmp_path), "--workspace", tmp_path, "--decisions", 2, "--probes", 24)
    assert done.returncode == 0
    report = Path(done.stdout.strip())
    assert report.name == "report.md"
    assert report.exists()
    assert "proposer: optuna" in done.stderr
    assert "002" in done.stderr
    printed = nightlane("report", "--workspace", tmp_path).stdout
    assert printed.strip() == report.read_text(encoding="utf-8").strip()
    assert json.loads(nightlane("report", "--json", "--workspace", tmp_path).stdout)
    status = json.loads(nightlane("status", "--json", "--workspace", tmp_path).stdout)
    assert status["session"] in report.parent.name
    assert "finished" in nightlane("status", "--workspace", tmp_path).stdout


def test_a_workspace_may_have_any_name(tmp_path: Path) -> None:
    odd = tmp_path / "a b?c#d%41 é"
    assert nightlane("run", study(odd), "--workspace", odd, "--decisions", 1, "--probes", 24).returncode == 0
    assert nightlane("status", "--workspace", odd).returncode == 0


def test_check_says_what_a_probe_does_without_running_one(tmp_path: Path) -> None:
    done = nightlane("check", study(tmp_path), "--workspace", tmp_path)
    assert done.returncode == 0
    assert "20 steps" in done.stdout
    assert "not yet measured" in done.stdout
    assert "noise assumed" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_init_writes_a_study_that_checks(tmp_path: Path) -> None:
    assert nightlane("init", tmp_path / "mine").returncode == 0
    assert nightlane("check", tmp_path / "mine" / "study.toml").returncode == 0
    assert "overwrites nothing" in refused(2, "init", tmp_path / "mine")


NOWHERE: dict[str, Any] = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "scripted"}


def test_check_and_doctor_show_what_the_endpoint_said(tmp_path: Path) -> None:
    path = study(tmp_path)
    with ScriptedEndpoint([{"pick": "legal"}]) as endpoint:
        environment: dict[str, Any] = endpoint.environment
        checked = nightlane("check", path, **environment)
        examined = nightlane("doctor", path, "--workspace", tmp_path, "--json", **environment)
        assert len(endpoint.requests) == 2
        assert "asked one question each" not in nightlane("check", path, "--offline", **environment).stdout
    assert "Endpoints, asked one question each:\n- proposer: scripted at " in checked.stdout
    assert "it kept to the schema" in checked.stdout
    (one,) = json.loads(examined.stdout)["endpoints"]
    assert (one["role"], one["problem"], one["failure"], one["required"]) == ("proposer", "", "", False)


def test_check_passes_without_an_endpoint_that_the_study_does_not_require(tmp_path: Path) -> None:
    done = nightlane("check", study(tmp_path / "auto"), **NOWHERE)
    assert done.returncode == 0
    assert "Connection refused" in done.stdout
    required = study(tmp_path / "required", ("[budget]", '[proposer]\nkind = "hybrid"\n[budget]'))
    done = nightlane("check", required, **NOWHERE)
    assert done.returncode == 5
    assert "is valid" in done.stdout
    assert "the study needs the endpoint of the proposer, which cannot be used (see above)" in done.stderr
    assert nightlane("check", required, "--offline", **NOWHERE).returncode == 0


def test_doctor_names_the_sandbox_the_packages_and_the_endpoint(tmp_path: Path) -> None:
    done = nightlane(
        "doctor", "--workspace", tmp_path, OPENAI_BASE_URL="http://localhost:1", OPENAI_API_KEY="sk-secret"
    )
    assert done.returncode == 0
    assert re.search(r"^ok +sandbox (bubblewrap|landlock) \(used\)", done.stdout, re.MULTILINE)
    assert re.search(r"^ok +torch 2\.", done.stdout, re.MULTILINE)
    assert "http://localhost:1" in done.stdout
    assert "sk-secret" not in done.stdout
    assert "nightlane doctor STUDY asks it a question" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run",), "Missing argument 'STUDY'"),
        (("run", "none.toml"), "make one with init"),
        (("run", "x", "--decisions", "0"), "greater than or equal to 1"),
        (("run", "x", "--hourz", "1"), "--hours"),
        (("rum",), "run"),
        (("status",), "no session here"),
        (("resume",), "no session"),
        (("report",), "no session"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    extra = ("--workspace", str(tmp_path)) if arguments[0] in ("status", "resume", "report") else ()
    assert message in refused(2, *arguments, *extra)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("steps = 20", "stepps = 20"), "did you mean 'steps'"),
        (('good = "good.jsonl"', 'good = "gone.jsonl"'), "gone.jsonl does not exist"),
        (("arithmetic = 1.5", "voice = 1.5"), "no probe prompt in the category 'voice'"),
        (("effective_batch = 4", 'lora_targets = ["lm_head"]'), "take it out"),
        (("disguised = 0.0", "must_see = 0.1"), "of 'lists' that has an even chance of a KEEP (assumed"),
        (("[target]", '[scorer]\nkind = "rules"\n[target]'), "rules.toml (rules under [scorer]) cannot be read"),
        (("[target]", '[scorer]\nkind = "function"\n[target]'), "[scorer] function is missing; add it"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_bad_study_is_exit_code_2(tmp_path: Path, command: str, change: tuple[str, str], message: str) -> None:
    assert message in refused(2, command, study(tmp_path, change), "--workspace", tmp_path / "w")


def test_a_language_model_without_an_endpoint_is_exit_code_2(tmp_path: Path) -> None:
    path = study(tmp_path, ("[budget]", '[proposer]\nkind = "language_model"\n[budget]'))
    assert "OPENAI_BASE_URL" in refused(2, "run", path, "--workspace", tmp_path)


def test_bad_rows_and_leaks_are_named_by_their_line(tmp_path: Path) -> None:
    path = study(tmp_path)
    good = (tmp_path / "good.jsonl").read_text(encoding="utf-8")
    (tmp_path / "good.jsonl").write_text(good + '{"prompt": "p", "chosen": "c"}\n', encoding="utf-8")
    assert "good.jsonl, line 33 has no column 'rejected'" in refused(2, "check", path)
    leak = json.dumps({"prompt": "# lists 0 for probe\n", "chosen": "c", "rejected": "r"})
    (tmp_path / "good.jsonl").write_text(f"{leak}\n", encoding="utf-8")
    assert "probe prompt 'probe-lists-0'" in refused(2, "check", path)


def test_a_prompt_in_two_splits_in_other_clothes_is_named_with_both_ids(tmp_path: Path) -> None:
    path, asked = study(tmp_path), "Write a function that returns the sum of the even items of a list of whole numbers"
    rows = simulated_study.prompts()
    rows[0]["prompt"], rows[-1]["prompt"] = f"{asked}.", f"{asked.upper()}, please"
    simulated_study.write_jsonl(tmp_path / "prompts.jsonl", rows)
    said = refused(2, "check", path)
    assert f"{rows[-1]['id']!r} is 1.00 similar to probe prompt {rows[0]['id']!r}" in said


def test_a_busy_workspace_is_exit_code_3(tmp_path: Path) -> None:
    path = study(tmp_path)
    with Workspace(tmp_path).held():
        assert str(os.getpid()) in refused(3, "run", path, "--workspace", tmp_path)
    assert not (tmp_path / "results.tsv").exists()


def test_an_endpoint_that_does_not_answer_is_exit_code_5(tmp_path: Path) -> None:
    environment = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "m"}
    message = refused(5, "run", study(tmp_path), "--workspace", tmp_path, **environment)
    assert 'kind = "optuna"' in message
    assert "127.0.0.1:9" in message


def test_a_hub_model_that_cannot_be_had_is_exit_code_6(tmp_path: Path) -> None:
    path = study(
        tmp_path, ('kind = "simulated"', 'kind = "resident"\nworkers = 1'), ('path = "none"', 'path = "no/such"')
    )
    message = refused(6, "run", path, "--workspace", tmp_path)
    assert "'no/such' could not be loaded" in message


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 900 KiB; needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.long
def test_a_full_disk_is_exit_code_7_and_nothing_decided_is_lost(tmp_path: Path, small_disk: Path) -> None:
    path = study(tmp_path)
    message = refused(7, "run", path, "--workspace", small_disk, "--decisions", 40, "--probes", 60)
    assert "free some space; then go on with: nightlane resume" in message
    status = json.loads(nightlane("status", "--json", "--workspace", small_disk).stdout)
    assert subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True).returncode == 0
    done = nightlane("resume", "--workspace", small_disk, "--decisions", sum(status["decisions"].values()) + 2)
    assert done.returncode == 0, done.stderr
    rows = (small_disk / "results.tsv").read_text(encoding="utf-8").splitlines()[1:]
    ids = [row.split("\t")[2] for row in rows]
    assert len(ids) == len(set(ids))
    after = json.loads(nightlane("status", "--json", "--workspace", small_disk).stdout)
    assert after["session"] == status["session"]
    assert sum(after["decisions"].values()) >= sum(status["decisions"].values())


def test_a_starting_recipe_that_cannot_be_measured_is_exit_code_8(tmp_path: Path) -> None:
    path = study(tmp_path, ("learning_rate = 1e-4", "learning_rate = 0.8"))
    assert "loss is nan" in refused(8, "run", path, "--workspace", tmp_path)


def test_ctrl_c_before_a_session_is_begun_does_not_say_that_it_can_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path)

    def interrupted(begins: bool) -> str:
        with pytest.raises(typer.Exit) as ended, on_interrupt(_interrupted(workspace, begins)):
            raise KeyboardInterrupt
        assert ended.value.exit_code == 130
        return capsys.readouterr().err

    assert "no session has begun yet, so nothing is lost; start again" in interrupted(True)
    assert nightlane("run", study(tmp_path), "--workspace", tmp_path, "--decisions", 1, "--probes", 24).returncode == 0
    assert "no session has begun yet" in interrupted(True), "the earlier one is no part of this"
    assert "continue with: nightlane resume" in interrupted(False)


def test_ctrl_c_in_check_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(material_check, "check_study", interrupt)
    with pytest.raises(typer.Exit) as ended:
        check(study(tmp_path), tmp_path, 0)
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "nightlane: interrupted; the study was not checked to its end\n"
