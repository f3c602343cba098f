"""Every command of the product that writes, under faults. A person whose command was cut short gives it again; where a
folder is refused because something is in it, they name a new one, which here is the same one emptied."""

import json
import shutil
import signal
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.faults.compare import Result
from bench.faults.nights import night, write_rows, write_study
from bench.faults.nights import observe as observe_night
from bench.faults.scenario import Act, Run, Scenario, Wrong, again, lines_of, nightlane, plain, rows_of
from bench.faults.supervisor import Ended
from cli import main as command_line
from lanes import Recipe

ROWS = 6
VOTER = ("--by", "ann")


def _rows(root: Path, run: Run) -> None:
    """The stores that took a file of pairs."""
    _file(root, run)
    _must(run(_import(root)))


def _file(root: Path, run: Run) -> None:
    """A study, and a file of pairs."""
    write_study(root / "study", 4, "")
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
    write_rows(root / "pairs.jsonl", rows)


def _import(root: Path) -> Act:
    given = ("--kind", "dpo", "--study", root / "study" / "study.toml", *VOTER)
    return nightlane("pairs", "import", root / "pairs.jsonl", *given, "--workspace", root)


def _ids(root: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (root / "runs/rl_data/dpo.jsonl").read_text("utf-8").splitlines()]


def _votes(root: Path, run: Run) -> None:
    _rows(root, run)
    votes = [{"id": name, "vote": ("up", "down", "flip")[place % 3]} for place, name in enumerate(_ids(root))]
    write_rows(root / "votes.jsonl", votes)


def _import_votes(root: Path) -> Act:
    return nightlane("pairs", "import", root / "votes.jsonl", "--kind", "votes", *VOTER, "--workspace", root)


def _vote(root: Path) -> Act:
    return nightlane("pairs", "vote", _ids(root)[0], "up", *VOTER, "--workspace", root)


def _review(root: Path) -> Act:
    return nightlane("pairs", "review", "--kind", "dpo", "--rows", ROWS, *VOTER, "--workspace", root)


def _review_rest(root: Path, run: Run) -> Sequence[Ended]:
    """The rows that are left, which come first."""
    path = root / "runs" / "rl_data" / "reviews.jsonl"
    done = sum(not line.startswith("no JSON") for line in rows_of(path))
    return [run(_review(root), answers="good\n" * (ROWS - done) + "quit\n")]


def _certify(root: Path) -> Act:
    return nightlane("pairs", "certify", "--text", "--workspace", root)


def _export(form: str) -> Callable[[Path], Act]:
    return lambda root: nightlane(
        "pairs", "export", root / "out", "--kind", "dpo", "--format", form, "--workspace", root
    )


def _export_proposals(root: Path) -> Act:
    return nightlane("pairs", "export", root / "out", "--kind", "proposer", "--workspace", root)


def _elsewhere(act: Callable[[Path], Act]) -> Callable[[Path, Run], Sequence[Ended]]:
    """Again, and into an emptied folder where what is there is refused."""

    def goes_on(root: Path, run: Run) -> Sequence[Ended]:
        ends = [run(act(root))]
        if ends[0].code == 2:
            shutil.rmtree(root / "out")
            ends.append(run(act(root)))
        return ends

    return goes_on


def _export_then_train(root: Path, run: Run) -> Sequence[Ended]:
    """What an export left half is never trained on: nobody has looked at these rows, and finetune must say so."""
    if (root / "out" / "train.jsonl").exists():
        ended = run(_finetune(root, "trained"))
        if ended.code not in (2, -signal.SIGKILL):
            raise Wrong(f"finetune took an export that nobody looked at, exit {ended.code}")
    return _elsewhere(_export("jsonl"))(root, run)


def _study(root: Path, run: Run) -> None:
    """A study whose only source is the export at ``out``."""
    _rows(root, run)
    (root / "study" / "none").mkdir()
    path = root / "study" / "study.toml"
    text = path.read_text("utf-8").replace('"good.jsonl"', '"../out/train.jsonl"')
    path.write_text(text.replace('mixture = "even"', 'mixture = "good_only"'), encoding="utf-8")


def _exported(root: Path, run: Run) -> None:
    _study(root, run)
    _must(run(_export("jsonl")(root)))
    (root / "out").rename(root / "mined")
    path = root / "study" / "study.toml"
    path.write_text(path.read_text("utf-8").replace("../out/", "../mined/"), encoding="utf-8")


def _finetune(root: Path, output: str, *more: str) -> Act:
    study = root / "study" / "study.toml"
    return nightlane(
        "finetune", study, "--output", root / output, "--steps", 2, *more, "--workspace", root, before=_no_training
    )


def _no_training() -> None:
    """Everything of a full-length run but the model: what stands in for the trainer writes the files it writes."""
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
                job.on_step(step, 1 / step)
        write_durably(adapter, "weights " * 1000)
        return [types.SimpleNamespace(adapter=adapter.parent, seconds=1.0, tokens=100, final={"loss": 0.5})]

    stub: Any = types.ModuleType("probes.train.trl")
    stub.TrainingJob = lambda recipe, rows, seed, directory, on_step: types.SimpleNamespace(
        recipe=recipe, rows=rows, seed=seed, directory=directory, on_step=on_step
    )
    stub.Trained, stub.train = types.SimpleNamespace, train
    sys.modules["probes.train.trl"] = stub
    values: dict[str, Any] = {
        "base_digest": lambda *_: "none",
        "load_base": lambda *_: types.SimpleNamespace(adapter=None, renderer=None),
        "use_few_threads": lambda *_: None,
        "note_asking": lambda *_: None,
        "load_quietly": lambda: None,
        "_prepared": lambda *_: "cpu",
    }
    for name, value in values.items():
        setattr(run, name, value)
    plan.__dict__["require_fit"] = lambda *_: None


def _report(root: Path) -> Act:
    return nightlane("report", "--workspace", root)


def _init(root: Path) -> Act:
    return nightlane("init", root / "out")


def _problems(root: Path, run: Run) -> None:
    check = "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    problem = {
        "task_id": "T/add",
        "prompt": 'def add(a, b):\n    """ The sum. """\n',
        "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": check,
    }
    write_rows(root / "problems.jsonl", [problem])
    texts = ("    return a + b\n", "    return a - b\n")
    write_rows(root / "samples.jsonl", [{"task_id": "T/add", "completion": text} for text in texts])


def _evaluate(root: Path) -> Act:
    given = ("--problems", root / "problems.jsonl", "--samples", root / "samples.jsonl")
    return nightlane("evaluate", *given, "--workspace", root)


def _last_evaluation(root: Path) -> Result:
    folders = sorted((root / "runs").glob("evaluation-*"))
    if not folders:
        return {}
    return {"results": rows_of(folders[-1] / "results.jsonl"), "files": sorted(x.name for x in folders[-1].iterdir())}


def _lab(root: Path) -> Act:
    """The building of a lab, of files as small as these; a model would be trained in the place of its base."""

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


def _must(ended: Ended) -> None:
    if ended.code:
        raise RuntimeError(f"a scenario cannot be prepared: exit {ended.code}, {ended.errors[-2000:]}")


def _night(root: Path, run: Run) -> None:
    """With a KEEP and, before it, something worse: a pair for a proposer."""
    before = night("night before", _all_but_one, 3, "disguised = 0.0\nholdout_seeds = 0\nsurvey = 0")
    before.prepare(root, run)
    _must(run(before.act(root)))


def _all_but_one(recipe: Recipe, split: str) -> float:
    return {"short_first": -2.0, "shuffle": 0.0}.get(recipe.curriculum, 2.0)


def _stores(root: Path) -> Result:
    """The stores' files, without times."""
    return {path.name: rows_of(path, (), ("time",)) for path in sorted((root / "runs" / "rl_data").glob("*.jsonl"))}


def _files(*folders: str) -> Callable[[Path], Result]:
    """Every file under some folders, line by line; binary ones by their length."""

    def observe(root: Path) -> Result:
        found: dict[str, Sequence[str]] = {}
        for path in sorted(path for folder in folders for path in (root / folder).rglob("*") if path.is_file()):
            name = str(path.relative_to(root))
            if path.name in ("lock", "report.md") or path.suffix == ".parquet":
                found[name] = [str(path.stat().st_size > 0 or path.name == "lock")]
            else:
                found[name] = [plain(line.replace(str(root), "ROOT")) for line in lines_of(path)]
        return found

    return observe


def _with_stores(observe: Callable[[Path], Result]) -> Callable[[Path], Result]:
    return lambda root: {**observe(root), **_stores(root)}


COMMANDS = (
    Scenario("init", lambda root, run: None, _init, _elsewhere(_init), _files("out"), weight=5),
    Scenario("pairs import", _file, _import, again(_import), _stores, weight=8),
    Scenario("pairs import of votes", _votes, _import_votes, again(_import_votes), _stores, weight=5),
    Scenario("pairs vote", _rows, _vote, again(_vote), _stores, weight=5),
    Scenario("pairs review", _rows, _review, _review_rest, _stores, answers="good\n" * ROWS, weight=5),
    Scenario("pairs certify", _rows, _certify, again(_certify), _stores, weight=2),
    Scenario(
        "pairs export, then finetune",
        _study,
        _export("jsonl"),
        _export_then_train,
        _with_stores(_files("out")),
        weight=8,
    ),
    Scenario(
        "pairs export as parquet", _rows, _export("parquet"), _elsewhere(_export("parquet")), _files("out"), weight=5
    ),
    Scenario(
        "pairs export of proposals", _night, _export_proposals, _elsewhere(_export_proposals), _files("out"), weight=5
    ),
    Scenario(
        "finetune",
        _exported,
        lambda root: _finetune(root, "out", "--unreviewed"),
        _elsewhere(lambda root: _finetune(root, "out", "--unreviewed")),
        _with_stores(_files("out", "mined")),
        weight=8,
    ),
    Scenario("report", _night, _report, again(_report), observe_night, weight=5),
    Scenario("evaluate", _problems, _evaluate, again(_evaluate), _last_evaluation, weight=1),
    Scenario("labs build", lambda root, run: None, _lab, again(_lab), _files("build"), weight=8),
)
