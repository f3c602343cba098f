"""Text that is not ours, in every place that holds any: no command and no file lets a terminal obey it."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nights
import pytest

from agent.ledger.store import Ledger
from agent.ledger.tables import WAVE, ProposalRow
from agent.loop.search.proposals import Proposals
from agent.loop.start_or_resume.session import Overrides, begin
from agent.policy.search_parts import SearchParts
from agent.proposers import Suggestion
from agent.study.load import load_study
from agent.workspace.folder import Workspace
from cli import main as command_line
from lanes import Recipe
from preferences.store.annotations import Review, Vote
from preferences.store.provenance import Provenance, TextOrigin
from preferences.store.rows import Row
from preferences.store.stores import Stores
from probes.result.reading import Failure, Outcome, Probe
from testing import simulated_study
from testing.simulated_runner import SimulatedRunner
from view.report.report import write_report
from view.terminal.live import LiveWatcher, Terminal, watching

EVIL = "\x1b[31mred\x1b]8;;http://x\x1b\\\x1b]52;c;aGk=\x07\x9b2J\u202e[bold]\r<img src=x>\u2066![a](http://b)"
EVIL += " [bold] https://me:S3CRETpw@host/v1?token=S3CRETvalue sk-S3CRETkey_ Bearer S3CRET1234"
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
NAME = "\x1b[31mlists\x9b\u202e[bold]\x07"
SOURCE = "broken\x1b[31m\u202e"
OTHER_WAYS = {"print", "typer.echo", "typer.secho", "sys.stdout.write", "sys.stderr.write", "Console"}
TIME = "2026-11-21T20:00:00Z"
ROOT = Path(__file__).parents[2]


def clean(text: str) -> str:
    found = RAW.search(text)
    assert found is None, repr(text[max(0, found.start() - 80) :][:200])
    assert "S3CRET" not in text, text[max(0, text.index("S3CRET") - 200) :][:300]
    return text


def hostile_study(folder: Path) -> Path:
    text = simulated_study.STUDY.replace('category = "lists"', f"category = {json.dumps(NAME)}")
    text = text.replace("arithmetic = 1.5", f"{json.dumps('arithmetic' + NAME)} = 1.5")
    text = text.replace("decisions = 8", "decisions = 8\nprobes = 40").replace(
        "[policy]", "[policy]\nmember_chance = 0.51"
    )
    text = re.sub(r"^broken = ", lambda _: f"{json.dumps(SOURCE)} = ", text, flags=re.MULTILINE)
    path = simulated_study.write_study(folder, text)
    prompts = path.parent / "prompts.jsonl"
    rows = [json.loads(line) for line in prompts.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["category"] = {"lists": NAME, "arithmetic": "arithmetic" + NAME}.get(row["category"], row["category"])
    prompts.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def add_hostile_pairs(workspace: Workspace, study: Path) -> None:
    stores = Stores(workspace.runs / "rl_data")
    stores.reserve(load_study(study).material.all_prompts)
    side = TextOrigin("sampled", recipe=EVIL, critical=(EVIL,))
    row = Row(
        kind="dpo",
        time=TIME,
        prompt=f"# task {EVIL}\n",
        texts=(f"def f():\n    return '{EVIL}'\n", f"return {EVIL}"),
        scores=(8.0, 4.0),
        category=NAME,
        source=EVIL,
        provenance=Provenance((side, side), "s", EVIL, EVIL, EVIL),
    )
    added = stores.add([row]).new[0]
    stores.vote([Vote(added, "up", EVIL, TIME)])
    stores.review(Review(added, "good", EVIL, TIME, stores.digest("dpo")))
    stores.withdraw(EVIL, TIME, row=added)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A night whose study, proposer and scorer say hostile things, and pairs of which others do."""
    folder = tmp_path_factory.mktemp("night")
    path = hostile_study(folder / "study")
    patch = pytest.MonkeyPatch()
    make, run_one = Proposals.make, SimulatedRunner._run_one

    def hostile(self: Proposals, incumbent: Recipe, suggestion: Suggestion) -> ProposalRow:
        return make(self, incumbent, replace(suggestion, hypothesis=EVIL, proposer=f"model {NAME}"))

    def failing(self: SimulatedRunner, probe: Probe, listener: Any) -> Outcome:
        """Every recipe fails that carries the first proposal."""
        with Ledger(workspace.ledger, read_only=True) as ledger:
            first = {row.id for row in ledger.proposals()[:1]}
            designed = [made for wave in ledger.checks(ledger.sessions()[-1], WAVE) for made in wave.data["recipes"]]
        if any(probe.recipe.digest == made["recipe"] and first & {*made["proposals"]} for made in designed):
            return Failure(probe.id, probe.seed, "diverged", f"ScorerBroken: {EVIL}\nand more")
        return run_one(self, probe, listener)

    workspace = Workspace(folder / "work")
    patch.setattr(Proposals, "make", hostile)
    patch.setattr(SimulatedRunner, "_run_one", failing)
    with watching() as watcher:
        parts = SearchParts(next_step=nights.hasty())
        begin(load_study(path), workspace, Overrides(), watcher, write_report, parts=parts)
    patch.undo()
    add_hostile_pairs(workspace, path)
    return workspace


def typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["nightlane", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        command_line.main()
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, clean(captured.err)


def test_what_a_night_leaves_holds_nothing_that_is_obeyed(night: Workspace) -> None:
    log = clean((night.runs / "progress.log").read_text(encoding="utf-8"))
    assert "CRASH" in log
    assert "[31mred" in log
    with Ledger(night.ledger, read_only=True) as ledger:
        assert len(log.splitlines()) == len(ledger.events())
        session = ledger.session()
    assert session is not None
    table = clean((night.root / "results.tsv").read_text(encoding="utf-8"))
    assert {len(line.split("\t")) for line in table.splitlines()} == {len(table.splitlines()[0].split("\t"))}
    report = clean((night.session(session.id) / "report.md").read_text(encoding="utf-8"))
    assert "31mred" in report
    assert "<img" not in re.sub(r"(`+)[^`]+\1", "", report)
    assert not re.search(r"(?<!\\)\]\(http", report)


@pytest.mark.parametrize(
    "command",
    [
        *(["status"], ["report"], ["pairs", "list"], ["pairs", "audit"]),
        *(["explain", "001"], ["explain", "002"], ["explain", "stack", "1"]),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("as_json", [False, True])
def test_commands_show_it(
    night: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    as_json: bool,
) -> None:
    code, out, _ = typed(monkeypatch, capsys, *command, "--workspace", night.root, *(["--json"] if as_json else []))
    assert code == 0
    assert clean(out)
    if as_json:
        assert json.loads(out)


def test_a_pair_is_shown_voted_on_and_reviewed(
    night: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Stores(night.runs / "rl_data").rows("dpo")[0].id
    for command in (["show", row], ["vote", row, "down", "--by", NAME], ["show", row, "--json"]):
        code, out, _ = typed(monkeypatch, capsys, "pairs", *command, "--workspace", night.root)
        assert code == 0
        assert clean(out)


def test_errors_name_files_rows_and_arguments_and_are_not_obeyed(
    night: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / f"{NAME}.jsonl"
    simulated_study.write_jsonl(bad, [{"prompt": EVIL, EVIL: EVIL}, {"row": EVIL, "vote": EVIL}])
    study = tmp_path / "study.toml"
    study.write_text(f"name = {json.dumps(EVIL)}\n{json.dumps(EVIL)} = 1\n", encoding="utf-8")
    commands: list[list[object]] = [
        ["pairs", "import", bad, "--kind", "dpo", "--workspace", night.root],
        ["pairs", "import", bad, "--kind", "votes", "--workspace", night.root],
        ["pairs", "show", EVIL, "--workspace", night.root],
        ["explain", EVIL, "--workspace", night.root],
        ["status", EVIL, "--workspace", night.root],
        ["status", "--workspace", tmp_path / NAME],
        ["run", study],
        ["run", tmp_path / NAME],
        ["evaluate", "--problems", bad, "--samples", bad, "--workspace", tmp_path],
        ["pairs", "list", f"--{NAME}"],
        [NAME],
    ]
    for command in commands:
        code, out, err = typed(monkeypatch, capsys, *command)
        assert (code, clean(out)) == (2, "")
        assert err


def test_the_endpoint_of_doctor_keeps_its_secrets_and_its_model_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:sesame@host/v1?token=opensesame")
    monkeypatch.setenv("OPENAI_MODEL", EVIL)
    _, out, _ = typed(monkeypatch, capsys, "doctor", "--workspace", tmp_path)
    assert "set      endpoint: http://***@host/v1?token=***" in clean(out)
    assert "nightlane doctor STUDY asks it a question" in out
    assert "sesame" not in out


@pytest.mark.parametrize(
    "address", ["user:S3CRETpw@host/v1", "https://user:S3CRETpw@host:80x/v1", "https://:S3CRETpw@/v1", "ftp://S3CRETpw"]
)
def test_doctor_refuses_what_is_no_address_and_does_not_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    _, out, _ = typed(monkeypatch, capsys, "doctor", "--workspace", tmp_path)
    assert "OPENAI_BASE_URL is not an http(s) address; set it to one such as http://localhost:8000/v1" in out
    assert "S3CRETpw" not in out


def test_doctor_does_not_call_it_a_fault_that_no_endpoint_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    _, out, _ = typed(monkeypatch, capsys, "doctor", "--workspace", tmp_path)
    assert "ok       endpoint: not set, and not needed: Thompson sampling and Optuna propose without one" in out


def test_an_evaluation_shows_answers_and_is_not_obeyed_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {
        "task_id": NAME,
        "prompt": "def add(a, b):\n",
        "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    }
    answer = {"task_id": NAME, "completion": f"    raise ValueError({EVIL!r})  # {EVIL}\n"}
    (tmp_path / "problems.jsonl").write_text(json.dumps(problem) + "\n", encoding="utf-8")
    (tmp_path / "samples.jsonl").write_text(json.dumps(answer) + "\n", encoding="utf-8")
    files = ["--problems", tmp_path / "problems.jsonl", "--samples", tmp_path / "samples.jsonl"]
    code, out, _ = typed(monkeypatch, capsys, "evaluate", *files, "--workspace", tmp_path)
    assert code == 0
    assert "VALUE_ERROR" in clean(out)
    clean(next(tmp_path.glob("runs/evaluation-*/report.md")).read_text(encoding="utf-8"))


@pytest.mark.parametrize("live", [False, True])
def test_the_terminal_shows_notes_decisions_and_titles(
    night: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], live: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with Ledger(night.ledger, read_only=True) as ledger:
        decisions = ledger.decisions()
    console = Terminal()
    watcher: Any = LiveWatcher(console)
    with watching() as plain:
        for one in (watcher,) if live else (plain,):
            one.note(EVIL)
            one.measuring(EVIL, [])
            for decision in decisions:
                one.decided(decision)
    if live:
        console.print(watcher.render())
    err = clean(capsys.readouterr().err)
    assert "\\x1b[31mred" in err
    assert "[bold]" in err


def test_a_defect_that_quotes_it_is_told_without_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    def broken(*_: object) -> None:
        raise RuntimeError(EVIL)

    monkeypatch.setattr("cli.machine.examine", broken)
    code, _, err = typed(monkeypatch, capsys, "doctor")
    assert code == 1
    assert "Traceback" in err
    assert "\\x1b[31mred" in err


@pytest.mark.long
def test_nothing_else_prints() -> None:
    """One way out, common/printable.py: no print, no echo, no stream written to, no console but the terminal's."""
    own = {ROOT / "common/printable.py"}
    for folder in ("agent", "finetune", "integrations", "lanes", "preferences", "probes", "view"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            found = OTHER_WAYS.intersection(ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call))
            assert path in own or not found, (path, found)
