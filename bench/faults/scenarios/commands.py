"""The scenarios of all commands that write. A person whose command was interrupted repeats it. If the command refuses
the output folder because it is not empty, they choose another one; here it is the same folder, emptied."""

import contextlib
import json
import shutil
import signal
import sqlite3
import sys
import tempfile
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from agent.ledger.result_files import publish
from agent.ledger.store import Ledger
from bench.faults.injection.supervisor import ProcessResult
from bench.faults.scenarios.nights import night
from bench.faults.scenarios.nights import observe as observe_night
from bench.faults.scenarios.observe import Observed, lines_of, read_tables, rows_of, without_times
from bench.faults.scenarios.scenario import Command, Misbehaved, Run, Scenario, nightlane, repeat
from cli import machine
from cli import main as command_line
from lanes import Recipe
from testing.simulated_study import study_text, write_jsonl, write_study

ROWS = 6
VOTER = ("--by", "ann")


def _write_stores(root: Path, run: Run) -> None:
    """Stores with imported pairs."""
    _write_pairs(root, run)
    _require_success(run(_import(root)))


def _write_pairs(root: Path, run: Run) -> None:
    """A study, and a file of pairs."""
    write_study(root / "study")
    words = ("lamp", "harbour", "storm", "keeper", "anchor", "gull")
    rows = [
        {
            "prompt": f"What did the {word} do on the {number}th night?",
            "chosen": f"On that night the {word} stood still, and nobody who saw it said a word for {number} days.",
            "rejected": f"Nothing is known about any {word} at all, and so I leave it at that for now.",
            "chosen_score": 8.5,
            "rejected_score": 3.0 + number / 10,
        }
        for number, word in enumerate(words[:ROWS])
    ]
    write_jsonl(root / "pairs.jsonl", rows)


def _import(root: Path) -> Command:
    options = ("--kind", "dpo", "--study", root / "study" / "study.toml", *VOTER)
    return nightlane("pairs", "import", root / "pairs.jsonl", *options, "--workspace", root)


def _ids(root: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (root / "runs/rl_data/dpo.jsonl").read_text("utf-8").splitlines()]


def _write_votes(root: Path, run: Run) -> None:
    _write_stores(root, run)
    votes = [{"id": name, "vote": ("up", "down", "flip")[number % 3]} for number, name in enumerate(_ids(root))]
    write_jsonl(root / "votes.jsonl", votes)


def _import_votes(root: Path) -> Command:
    return nightlane("pairs", "import", root / "votes.jsonl", "--kind", "votes", *VOTER, "--workspace", root)


def _vote(root: Path) -> Command:
    return nightlane("pairs", "vote", _ids(root)[0], "up", *VOTER, "--workspace", root)


def _review(root: Path) -> Command:
    return nightlane("pairs", "review", "--kind", "dpo", "--rows", ROWS, *VOTER, "--workspace", root)


def _review_rest(root: Path, run: Run) -> Sequence[ProcessResult]:
    """Review the rows that have no vote yet; the command shows them first."""
    path = root / "runs" / "rl_data" / "reviews.jsonl"
    reviewed = sum(not line.startswith("no JSON") for line in rows_of(path))
    return [run(_review(root), stdin="good\n" * (ROWS - reviewed) + "quit\n")]


RULES = '[[rule]]\nname = "short"\nweight = 1\nkind = "words"\nlow = 1\nhigh = 15\n'


def _write_study_with_rules(root: Path, run: Run) -> None:
    """A study that scores texts without a judge, with one answer per prompt."""
    text = study_text(probe="steps = 20\nseeds = [42, 7]\nsamples = 1\n")
    write_study(root / "study", text.replace("[target]", '[scorer]\nkind = "rules"\n[target]'))
    (root / "study" / "rules.toml").write_text(RULES, encoding="utf-8")


def _write_unscored(root: Path, run: Run) -> None:
    """A store with pairs that came without scores."""
    _write_pairs(root, run)
    _write_study_with_rules(root, run)
    rows = [json.loads(line) for line in (root / "pairs.jsonl").read_text("utf-8").splitlines()]
    write_jsonl(root / "pairs.jsonl", [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in rows])
    options = ("--kind", "preference", "--study", root / "study" / "study.toml", *VOTER)
    _require_success(run(nightlane("pairs", "import", root / "pairs.jsonl", *options, "--workspace", root)))


def _score(root: Path) -> Command:
    study = root / "study" / "study.toml"
    return nightlane("pairs", "score", "--study", study, "--category", "lists", "--workspace", root)


def _certify(root: Path) -> Command:
    return nightlane("pairs", "certify", "--text", "--workspace", root)


def _export(form: str) -> Callable[[Path], Command]:
    return lambda root: nightlane(
        "pairs", "export", root / "out", "--kind", "dpo", "--format", form, "--workspace", root
    )


def _export_proposals(root: Path) -> Command:
    return nightlane("pairs", "export", root / "out", "--kind", "proposer", "--workspace", root)


def _repeat_in_empty_folder(command: Callable[[Path], Command]) -> Callable[[Path, Run], Sequence[ProcessResult]]:
    """Repeat the command, and once more after emptying the output folder if that is refused."""

    def recover(root: Path, run: Run) -> Sequence[ProcessResult]:
        results = [run(command(root))]
        if results[0].code == 2:
            shutil.rmtree(root / "out")
            results.append(run(command(root)))
        return results

    return recover


def _refuse_partial_export(root: Path, run: Run) -> Sequence[ProcessResult]:
    """finetune must refuse a partial export, because nobody has reviewed its rows. Then repeat the export."""
    if (root / "out" / "train.jsonl").exists():
        result = run(_finetune(root, "trained"))
        if result.code not in (2, -signal.SIGKILL):
            raise Misbehaved(f"finetune accepted an export that nobody has reviewed, exit {result.code}")
    return _repeat_in_empty_folder(_export("jsonl"))(root, run)


def _write_export_study(root: Path, run: Run) -> None:
    """A study whose only source is the export at ``out``."""
    _write_stores(root, run)
    (root / "study" / "none").mkdir()
    path = root / "study" / "study.toml"
    text = path.read_text("utf-8").replace('"good.jsonl"', '"../out/train.jsonl"')
    path.write_text(text.replace('mixture = "even"', 'mixture = "good_only"'), encoding="utf-8")


def _write_export(root: Path, run: Run) -> None:
    _write_export_study(root, run)
    _require_success(run(_export("jsonl")(root)))
    (root / "out").rename(root / "mined")
    path = root / "study" / "study.toml"
    path.write_text(path.read_text("utf-8").replace("../out/", "../mined/"), encoding="utf-8")


def _finetune(root: Path, output: str, *more: str) -> Command:
    study = root / "study" / "study.toml"
    asked = ("--output", root / output, "--steps", 2, "--spot-check", 0, *more, "--workspace", root)
    return nightlane("finetune", study, *asked, before=_replace_trainer)


def _replace_trainer() -> None:
    """Full-length runs have no model: a stub writes the files of the trainer."""
    from common.files import write_durably
    from finetune import plan, run

    def train(base: object, jobs: Sequence[Any], settings: object) -> list[object]:
        job = jobs[0]
        (job.directory / "adapter").mkdir()
        adapter = job.directory / "adapter" / "adapter_model.safetensors"
        with (job.directory / "train.jsonl").open("w", encoding="utf-8") as stream:
            for step in (1, 2):
                stream.write(json.dumps({"step": step, "loss": 1 / step}) + "\n")
                stream.flush()
        write_durably(adapter, "weights " * 1000)
        return [types.SimpleNamespace(adapter=adapter.parent, seconds=1.0, tokens=100, final={"loss": 0.5})]

    stub: Any = types.ModuleType("probes.train.trl")
    stub.TrainingJob = lambda recipe, rows, seed, directory, *_: types.SimpleNamespace(directory=directory)
    stub.Trained, stub.train = types.SimpleNamespace, train
    sys.modules["probes.train.trl"] = stub
    values: dict[str, Any] = {
        "base_digest": lambda *_: "none",
        "load_base": lambda *_: types.SimpleNamespace(adapter=None, renderer=None),
        "use_few_threads": lambda *_: None,
        "note_prompt_format": lambda *_: None,
        "load_quietly": lambda: None,
        "prepare_device": lambda *_: "cpu",
        "monotonic": lambda: 0.0,
    }
    patch.multiple(run, **values).start()  # AttributeError for a name that does not exist
    patch.multiple(run._FullRun, _long_run=lambda *_: None).start()
    patch.multiple(plan, require_fit=lambda *_: None).start()


def _report(root: Path) -> Command:
    return nightlane("report", "--workspace", root)


def _init(root: Path) -> Command:
    return nightlane("init", root / "out")


def _write_problems(root: Path, run: Run) -> None:
    check = "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    problem = {
        "task_id": "T/add",
        "prompt": 'def add(a, b):\n    """ The sum. """\n',
        "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": check,
    }
    write_jsonl(root / "problems.jsonl", [problem])
    texts = ("    return a + b\n", "    return a - b\n")
    write_jsonl(root / "samples.jsonl", [{"task_id": "T/add", "completion": text} for text in texts])


def _evaluate(root: Path) -> Command:
    options = ("--problems", root / "problems.jsonl", "--samples", root / "samples.jsonl")
    return nightlane("evaluate", *options, "--workspace", root)


def _last_evaluation(root: Path) -> Observed:
    folders = sorted((root / "runs").glob("evaluation-*"))
    if not folders:
        return {}
    files = sorted(path.name for path in folders[-1].iterdir())
    return {"results": rows_of(folders[-1] / "results.jsonl"), "files": files}


def _evaluate_study(root: Path) -> Command:
    study = root / "study" / "study.toml"
    return nightlane("evaluate", study, "--seeds", 2, "--workspace", root, before=_replace_model)


def _replace_model() -> None:
    """Evaluations of a study have no model here: a stub answers, and the study's scorer scores that."""
    from evaluation.own_study import evaluate
    from probes.model import load
    from probes.run import worker
    from probes.run.execute import Workbench

    values: dict[str, Any] = {
        "base_digest": lambda *_: "none",
        "visible_devices": lambda: (),
        "write_scored_answers": _write_stub_answers,
    }
    patch.multiple(evaluate, **values).start()  # AttributeError for a name that does not exist
    patch.object(Workbench, "base", lambda *_: None).start()
    patch.multiple(load, load_quietly=lambda: None, use_few_threads=lambda *_: None).start()
    patch.multiple(worker, environment=lambda *_: "none").start()


def _write_stub_answers(
    bench: Any, quantization: str, side: object, prompts: Sequence[Any], seed: int, path: Path, meter: Any, note: Any
) -> None:
    from probes.run.answers import write_answers
    from probes.scoring import Answer, Context

    texts = ["word " * (5 + 4 * seed + number) for number in range(len(prompts))]
    answers = [Answer(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    sampled: Any = [types.SimpleNamespace(text=text, finish_reason="stop") for text in texts]
    write_answers(path, answers, sampled, bench.open_scorer().score(answers, Context(note, meter)), 1)


def _last_study_evaluation(root: Path) -> Observed:
    """Its files, and the answers; what an interrupted one left stays beside it."""
    folders = sorted((root / "runs").glob("evaluation-*"))
    if not folders:
        return {}
    files = sorted(path.name for path in folders[-1].iterdir())
    return {"files": files, **{path.name: lines_of(path) for path in folders[-1].glob("answers-*.jsonl")}}


def _build_lab(root: Path) -> Command:
    """Build a lab of tiny files; a stub writes the base model instead of training it."""

    def build(**_: object) -> None:
        from labs._build.files import replace_folder
        from labs._build.files import write_rows as rows
        from labs.persona import material

        def two_files(folder: Path) -> None:
            for name in "ab":
                (folder / name).write_text(name * 999)

        def make(directory: Path, size: object, progress: object) -> tuple[dict[str, Any], dict[str, float]]:
            for name in ("plain", "ornate"):
                rows(directory / f"{name}.jsonl", ({"prompt": str(n), "style": name} for n in range(40)))
            replace_folder(directory / "base", two_files)
            return {}, {}

        stages: Any = types.ModuleType("labs.persona.stages")
        stages.make = make
        sys.modules["labs.persona.stages"] = stages
        material.build(root / "build", lambda stage, share: None)

    return nightlane(before=lambda: setattr(command_line, "app", build))


def _require_success(result: ProcessResult) -> None:
    if result.code:
        raise RuntimeError(f"a scenario cannot be prepared: exit {result.code}, {result.stderr[-2000:]}")


def _run_night(root: Path, run: Run) -> None:
    """A night with a KEEP and DISCARDs, which give pairs for the proposer."""
    scenario = night("night before", _one_bad_order, 16)
    scenario.prepare(root, run)
    _require_success(run(scenario.command(root)))


def _one_bad_order(recipe: Recipe, split: str) -> float:
    return {"short_first": -2.0, "shuffle": 0.0}.get(recipe.curriculum, 2.0)


def _stores(root: Path) -> Observed:
    """The stores' files, without times."""
    return {path.name: rows_of(path, (), ("time",)) for path in sorted((root / "runs" / "rl_data").glob("*.jsonl"))}


def _files(*folders: str) -> Callable[[Path], Observed]:
    """The lines of every file in some folders; of Parquet files and the like only whether they are empty."""

    def observe(root: Path) -> Observed:
        observed: dict[str, Sequence[str]] = {}
        for path in sorted(path for folder in folders for path in (root / folder).rglob("*") if path.is_file()):
            name = str(path.relative_to(root))
            if path.name in ("lock", "report.md", "report.html") or path.suffix == ".parquet":
                observed[name] = [str(path.stat().st_size > 0 or path.name == "lock")]
            else:
                observed[name] = [without_times(line.replace(str(root), "ROOT")) for line in lines_of(path)]
        return observed

    return observe


def _with_stores(observe: Callable[[Path], Observed]) -> Callable[[Path], Observed]:
    return lambda root: {**observe(root), **_stores(root)}


def _damage(root: Path, run: Run) -> None:
    """A night and stores with a damaged row each. The ledger's last events are only in its write-ahead log."""
    _write_stores(root, run)
    _run_night(root, run)
    with (root / "runs" / "rl_data" / "dpo.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"torn": tru\n')
    path = root / "runs" / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE proposals SET hypothesis = 'changed' WHERE rowid = 1")
    with tempfile.TemporaryDirectory() as folder:
        with Ledger(path) as ledger:
            for number in range(20):
                session = ledger.sessions()[0]
                ledger.record_event(f"event {number}", session, "2026-01-01T00:00:00Z", f"event {number}")
            publish(ledger, root)
            shutil.copytree(path.parent, folder, dirs_exist_ok=True)
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):
            shutil.copy(Path(folder) / name, path.parent)


def _repair(root: Path) -> Command:
    def leave_machine_out() -> None:
        machine.examine = lambda workspace: ([], True)

    return nightlane("doctor", "--repair", "--workspace", root, before=leave_machine_out)


def _repaired(root: Path) -> Observed:
    """What a night and the stores left, and the events of the ledger."""
    events = read_tables(root / "runs" / "ledger.sqlite", ["events"]).get("events", [])
    return {**observe_night(root), "events": sorted(str(event["text"]) for event in events)}


def _nothing(root: Path, run: Run) -> None:
    """The command needs no files."""


def _finetune_unreviewed(root: Path) -> Command:
    return _finetune(root, "out", "--unreviewed")


COMMANDS = (
    Scenario("init", _nothing, _init, _repeat_in_empty_folder(_init), _files("out"), weight=5),
    Scenario("pairs import", _write_pairs, _import, repeat(_import), _stores, weight=8),
    Scenario("pairs import of votes", _write_votes, _import_votes, repeat(_import_votes), _stores, weight=5),
    Scenario("pairs vote", _write_stores, _vote, repeat(_vote), _stores, weight=5),
    Scenario("pairs review", _write_stores, _review, _review_rest, _stores, stdin="good\n" * ROWS, weight=5),
    Scenario("pairs score", _write_unscored, _score, repeat(_score), _stores, weight=4),
    Scenario("pairs certify", _write_stores, _certify, repeat(_certify), _stores, weight=2),
    Scenario(
        "pairs export, then finetune",
        _write_export_study,
        _export("jsonl"),
        _refuse_partial_export,
        _with_stores(_files("out")),
        weight=8,
    ),
    Scenario(
        "pairs export as parquet",
        _write_stores,
        _export("parquet"),
        _repeat_in_empty_folder(_export("parquet")),
        _files("out"),
        weight=5,
    ),
    Scenario(
        "pairs export of proposals",
        _run_night,
        _export_proposals,
        _repeat_in_empty_folder(_export_proposals),
        _files("out"),
        weight=5,
    ),
    Scenario(
        "finetune",
        _write_export,
        _finetune_unreviewed,
        _repeat_in_empty_folder(_finetune_unreviewed),
        _with_stores(_files("out", "mined")),
        weight=8,
    ),
    Scenario("report", _run_night, _report, repeat(_report), observe_night, weight=5),
    Scenario("doctor --repair", _damage, _repair, repeat(_repair), _repaired, weight=8),
    Scenario("evaluate", _write_problems, _evaluate, repeat(_evaluate), _last_evaluation, weight=1),
    Scenario(
        "evaluate of a study",
        _write_study_with_rules,
        _evaluate_study,
        repeat(_evaluate_study),
        _last_study_evaluation,
        weight=4,
    ),
    Scenario("labs build", _nothing, _build_lab, repeat(_build_lab), _files("build"), weight=8),
)
