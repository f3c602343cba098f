"""``nightlane evaluate`` as a person types it."""

import gzip
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
from commands import ROOT, command, nightlane

from agent.study.load import load_study
from probes.model.adapter_files import note_prompt_format
from probes.model.load import load_renderer
from testing import simulated_study
from testing.scripted_endpoint.server import ScriptedEndpoint

ADD = {
    "task_id": "T/add",
    "prompt": 'def add(a, b):\n    """ The sum. """\n',
    "entry_point": "add",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(-1, 1) == 0\n",
}
LAST = {
    "task_id": "T/last",
    "prompt": 'def last(xs):\n    """ The last item, or None. """\n',
    "entry_point": "last",
    "canonical_solution": "    return xs[-1] if xs else None\n",
    "test": "def check(candidate):\n    assert candidate([1, 2]) == 2\n    assert candidate([]) is None\n",
}
NEVER = ADD | {"task_id": "T/never", "canonical_solution": "    return 7\n"}
TORN = ADD | {"task_id": "T/torn", "test": "def check(candidate:\n"}
ALONE = ADD | {"task_id": "T/pandas", "test": "import pandas\ndef check(candidate):\n    assert candidate(1, 2) == 3\n"}


def rows(path: Path, *content: dict[str, Any]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in content)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def sample(task: str, completion: str, **more: Any) -> dict[str, Any]:
    return {"task_id": task, "completion": completion, **more}


def evaluate(folder: Path, *arguments: object, **environment: Any) -> subprocess.CompletedProcess[str]:
    return nightlane("evaluate", *arguments, "--workspace", folder, **environment)


def figures(folder: Path, *arguments: object, **environment: str) -> dict[str, Any]:
    done = evaluate(folder, *arguments, "--json", **environment)
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def refused(folder: Path, *arguments: object) -> str:
    done = evaluate(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.strip().splitlines()[-1]


def test_a_file_of_samples_is_scored_and_everything_is_written_down(tmp_path: Path) -> None:
    problems = rows(tmp_path / "p.jsonl.gz", ADD, LAST)
    samples = rows(
        tmp_path / "s.jsonl",
        sample("T/add", "    return a + b\n"),
        sample("T/add", "    return a - b\n"),
        sample("T/last", "    return xs[-1]\n"),
        sample("T/last", "```python\ndef last(xs):\n    return xs[-1] if xs else None\n```"),
    )
    data = figures(tmp_path, "--problems", problems, "--samples", samples)
    assert data["pass_at_k"]["1"]["mean"] == pytest.approx(0.5)
    assert data["pass_at_k"]["2"]["mean"] == pytest.approx(1.0)
    assert data["classes"] == {"PASS": 2, "INDEX_ERROR": 1, "ASSERTION_FAIL": 1}
    found = [(row["task_id"], row["sample"], row["passed"], row["failure_class"]) for row in data["results"]]
    assert found == [
        ("T/add", 0, True, "PASS"),
        ("T/add", 1, False, "ASSERTION_FAIL"),
        ("T/last", 0, False, "INDEX_ERROR"),
        ("T/last", 1, True, "PASS"),
    ]
    (folder,) = (tmp_path / "runs").glob("evaluation-*")
    assert {path.name for path in folder.iterdir()} == {"results.jsonl", "report.md", "evaluation.json"}
    notes = [json.loads(line)["note"] for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert notes[1] == "add(1, 2) gave -1"
    assert notes[2].startswith("last([]) raised IndexError")


def test_two_files_are_compared_and_the_changes_are_told_apart(tmp_path: Path) -> None:
    problems = rows(tmp_path / "p.jsonl", ADD, LAST)
    before = rows(
        tmp_path / "b.jsonl",
        sample("T/add", "    return a + b\n\nassert add(1, 1) == 3\n"),
        sample("T/last", "    return xs[0]\n"),
    )
    after = rows(
        tmp_path / "a.jsonl", sample("T/add", "    return a + b\n"), sample("T/last", "    return (xs or [None])[-1]\n")
    )
    data = figures(tmp_path, "--problems", problems, "--samples", after, "--before", before)
    changes = {change["task_id"]: change["kind"] for change in data["breakdown"]["newly_passing"]}
    assert changes == {"T/add": "format", "T/last": "algorithmic"}
    assert data["breakdown"]["newly_failing"] == []
    shown = evaluate(tmp_path, "--problems", problems, "--samples", after, "--before", before).stdout
    assert "Newly passing: 2 problems" in shown
    assert "return (xs or [None])[-1]" in shown
    assert "return xs[0]" in shown


def test_problems_that_judge_nobody_are_named_counted_and_left_out(tmp_path: Path) -> None:
    problems = rows(tmp_path / "p.jsonl", ADD, NEVER, TORN, ALONE)
    samples = rows(tmp_path / "s.jsonl", sample("T/add", "    return a + b\n"), sample("T/nowhere", "x"))
    data = figures(tmp_path, "--problems", problems, "--samples", samples)
    why = {row["task_id"]: row["why"] for row in data["refused"]}
    assert set(why) == {"T/never", "T/torn", "T/pandas"}
    assert "its own solution fails: ASSERTION_FAIL" in why["T/never"]
    assert "does not compile" in why["T/torn"]
    assert "No module named 'pandas'" in why["T/pandas"]
    assert [row["line"] for row in data["refused"]] == [3, 2, 4]
    assert data["unknown"] == {"T/nowhere": 1}
    assert data["problems"] == len(data["results"]) == 1


@pytest.mark.long
def test_an_answer_of_ten_megabytes_an_empty_one_and_odd_characters_are_failures_like_others(tmp_path: Path) -> None:
    problems = rows(tmp_path / "p.jsonl", ADD)
    odd = ["", "#" * 10_000_000, "    return '\ud800'\n", "\x00", "I'm sorry, I can't do that.", "    return a + b\n"]
    samples = rows(tmp_path / "s.jsonl", *(sample("T/add", text) for text in odd))
    data = figures(tmp_path, "--problems", problems, "--samples", samples)
    assert [row["passed"] for row in data["results"]] == [False] * 5 + [True]
    assert data["classes"]["REFUSAL"] == 1


@pytest.mark.parametrize(
    ("problems", "samples", "message"),
    [
        ([ADD, LAST, ADD], [sample("T/add", "")], "line 1 and in line 3"),
        ([{"task_id": "T/x", "prompt": "p"}], [sample("T/x", "")], "lacks"),
        ([TORN], [sample("T/torn", "")], "no usable problem"),
        ([NEVER], [sample("T/never", "")], "no problem is solved by its own solution"),
        ([ADD], [sample("T/other", "")], "no task_id of the problem file"),
        ([ADD], [{"task_id": "T/add"}], "and here it is missing; mend the row"),
        ([ADD], [], "no task_id of the problem file"),
    ],
)
def test_files_that_cannot_be_used_are_refused_in_one_sentence(
    tmp_path: Path, problems: list[dict[str, Any]], samples: list[dict[str, Any]], message: str
) -> None:
    files = rows(tmp_path / "p.jsonl", *problems), rows(tmp_path / "s.jsonl", *samples)
    assert message in refused(tmp_path, "--problems", files[0], "--samples", files[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "none was given"),
        (("--samples", "s", "--model", "m"), "--model and --samples was given"),
        (("--samples", "s", "--adapter", "a"), "name that with --model"),
        (("--samples", "s", "--model-adapter", "a"), "name that with --model"),
        (("--study", "s.toml", "--model", "m"), "--study names the model to evaluate, and --model was given as well"),
        (("--study", "s.toml", "--samples", "s"), "and --samples was given as well; leave one of them out"),
        (("--study", "gone.toml"), "gone.toml cannot be read as a study file"),
        (("--model", "m", "--before", "b"), "give that with --samples"),
        (("--samples", "s", "--seeds", "a,b"), "whole numbers"),
        (("--samples", "s", "--seeds", "1,1"), "different numbers"),
        (("--samples", "gone.jsonl"), "gone.jsonl does not exist"),
        (("--model", "./gone"), "neither a folder nor a hub id"),
        (("--model", "some/model", "--adapter", "gone"), "holds no adapter"),
        (("--model", "m", "--quantization", "int3"), "--quantization"),
        (("--endpoint", "m", "--temperature", "0"), "--temperature"),
        (("--samples", "s", "--memory", "999999999999"), "--memory"),
    ],
)
def test_a_wrong_command_line_says_what_to_give(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    problems = rows(tmp_path / "p.jsonl", ADD)
    assert message in refused(tmp_path, "--problems", problems, *arguments)


def test_an_endpoints_model_is_asked_with_every_seed_and_a_reply_that_never_comes_is_no_answer(tmp_path: Path) -> None:
    problems = rows(tmp_path / "p.jsonl", ADD, LAST)
    fenced = {"content": "Sure:\n```python\ndef add(a, b):\n    return a + b\n```"}
    replies: list[Any] = [fenced, {"status": 400}, {"status": 400}, {"status": 400}, {"status": 400}]
    with ScriptedEndpoint(replies) as endpoint:
        data = figures(
            tmp_path, "--problems", problems, "--endpoint", "scripted", "--seeds", "5", **endpoint.environment
        )
    assert len(data["results"]) == data["unanswered"] == 1
    assert data["missing"] in (["T/add"], ["T/last"])
    assert {request["seed"] for request in endpoint.requests} == {5000}
    assert {request["max_tokens"] for request in endpoint.requests if "max_tokens" in request} == {512}
    (answers,) = (tmp_path / "runs").glob("evaluation-*/answers-1.jsonl")
    assert json.loads(answers.read_text(encoding="utf-8"))["completion"] == fenced["content"]


def test_a_base_model_and_its_adapter_are_two_sides_that_repeat_to_the_letter(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model")
    tiny.write_adapter(tmp_path / "model", tmp_path / "adapter")
    problems = rows(tmp_path / "p.jsonl", ADD, LAST)
    arguments = (
        "--problems",
        problems,
        "--model",
        tmp_path / "model",
        "--adapter",
        tmp_path / "adapter",
        "--seeds",
        "42,7",
        "-n",
        2,
        "--tokens",
        8,
        "--temperature",
        0.8,
    )
    data = figures(tmp_path / "one", *arguments)
    assert [len(side["results"]) for side in data["sides"]] == [8, 8]
    assert data["sides"][1]["name"].endswith("adapter")
    assert data["breakdown"]["problems"] == 2
    (folder,) = (tmp_path / "one" / "runs").glob("evaluation-*")
    texts = [(folder / f"answers-{side}.jsonl").read_text(encoding="utf-8") for side in (1, 2)]
    assert texts[0] != texts[1]
    figures(tmp_path / "two", *arguments)
    (again,) = (tmp_path / "two" / "runs").glob("evaluation-*")
    assert [(again / f"answers-{side}.jsonl").read_text(encoding="utf-8") for side in (1, 2)] == texts
    scored = figures(tmp_path, "--problems", problems, "--samples", folder / "answers-2.jsonl")
    assert scored["results"] == data["results"]


def test_an_adapter_is_asked_as_its_study_asks_and_refused_where_it_would_not_be(tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}<{{ m.content }}>{% endfor %}", encoding="utf-8")
    study = simulated_study.STUDY.replace('path = "none"', 'path = "model"\nchat_template = "../chat.jinja"')
    path = simulated_study.write_study(tmp_path / "study", study)
    tiny.write_model(path.parent / "model")
    adapter = tmp_path / "adapter"
    tiny.write_adapter(path.parent / "model", adapter)
    note_prompt_format(adapter, load_renderer(load_study(path).file.model, path.parent))
    problems = rows(tmp_path / "p.jsonl", ADD)
    given = ("--problems", problems, "--adapter", adapter, "--seeds", "42", "--tokens", 4)
    assert "with --study in place of --model" in refused(tmp_path, *given, "--model", path.parent / "model")
    assert len(figures(tmp_path / "one", *given, "--study", path)["sides"]) == 2


@pytest.mark.long
def test_ctrl_c_during_scoring_ends_in_a_sentence(tmp_path: Path) -> None:
    problems = rows(tmp_path / "p.jsonl", ADD)
    samples = rows(tmp_path / "s.jsonl", *(sample("T/add", "    while True: pass\n") for _ in range(50)))
    words = command("evaluate", "--problems", problems, "--samples", samples, "--workspace", tmp_path)
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        before = ""
        while not before.rpartition("\n")[0].endswith(str(samples)):
            before += process.stderr.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert "evaluation-" in before
    assert "in the folder named above" in told


STARVING = "    import ctypes\n    libc = ctypes.CDLL(None)\n    while True: libc.syscall(324, 1, 0, 0)\n"
LIMITED = "    import resource\n    resource.setrlimit(resource.RLIMIT_CPU, (0, 0))\n    while True: pass\n"
COLLIDING = """    import os, struct, time
    keys = ",".join('{"$int":"%#x"}' % (k * (2 ** 61 - 1)) for k in range(5, 20000))
    body = ('["returned",{"$set":[' + keys + "]}]").encode()
    data = struct.pack(">I", len(body)) + body
    while data: data = data[os.write(3, data):]
    time.sleep(100)
"""


@pytest.mark.long
def test_answers_made_to_end_the_evaluation_fail_and_the_others_are_judged(tmp_path: Path) -> None:
    problems = rows(tmp_path / "p.jsonl", ADD, LAST)
    hostile = [sample("T/add", text) for text in (STARVING, LIMITED, COLLIDING)]
    samples = rows(
        tmp_path / "s.jsonl", *hostile, sample("T/add", "    return a + b\n"), sample("T/last", "    return 1\n")
    )
    figures(tmp_path, "--problems", problems, "--samples", samples, "--seconds", 1)
    (written,) = tmp_path.glob("runs/evaluation-*/results.jsonl")
    classes = [json.loads(line)["failure_class"] for line in written.read_text(encoding="utf-8").splitlines()]
    assert classes == ["TIMEOUT", "VALUE_ERROR", "ASSERTION_FAIL", "PASS", "ASSERTION_FAIL"]
