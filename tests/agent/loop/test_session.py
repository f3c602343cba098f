"""Whole sessions with the simulated runner."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sessions import go_on, interrupted, ledger_of, play

from agent.ledger.store import Ledger
from agent.ledger.tables import CheckRow, ExaminationRow
from agent.loop.judging.judge_monitor import JudgeMonitor
from agent.loop.session_log import SessionLog
from agent.loop.start_or_resume.session import open_runner
from agent.loop.start_or_resume.starting_recipe import StartingRecipe
from agent.policy.settings import PolicySettings
from agent.proposers.context import Search
from agent.proposers.dead_ends import NOT_TRIED, UNDECIDED
from agent.study.load import Study, load_study
from agent.workspace.folder import Workspace
from common.digests import digest_of
from common.errors import (
    BadInput,
    BaselineFailed,
    DiskFull,
    EndpointUnavailable,
    MissingRequirement,
    StudyChanged,
    WorkspaceBusy,
)
from lanes import Recipe
from probes.result.reading import Failure, Probe
from testing import simulated_study
from testing.simulated_runner import SimulatedRunner
from view.data.results import read_results

SHORT = simulated_study.STUDY.replace("decisions = 8", "probes = 30")


@pytest.mark.usefixtures("drawn")
def test_a_session_decides_over_all_lanes_and_leaves_rows_lines_directories_and_a_report(
    study: Study, tmp_path: Path
) -> None:
    session = play(study, tmp_path)
    table = read_results(tmp_path / "results.tsv")
    assert next(iter(table["status"])) == "BASELINE"
    assert set(table["lane"]) == {"", "hyperparameters", "mixture", "curriculum"}
    assert set(table["status"][1:]) <= {"KEEP", "DISCARD", "CRASH"}
    log = (tmp_path / "runs" / "progress.log").read_text(encoding="utf-8")
    assert "NOISE lists: between training seeds" in log
    assert "FLOOR 4 answers per prompt: the study's own number of answers" in log
    assert "POWER the chance of a KEEP with" in log
    assert "proposer: optuna (no endpoint is configured" in log
    assert "scorer: simulated" in log
    assert " WAVE 1: " in log
    assert " END " in log
    with ledger_of(tmp_path) as ledger:
        assert len(table) == 1 + len(ledger.proposals())
        assert len(list((tmp_path / "runs").glob("probe-*/outcome.json"))) == len(ledger.probes(session)) <= 30
    folder = tmp_path / "runs" / f"session-{session}"
    assert (folder / "report.md").read_text(encoding="utf-8").startswith("#")
    assert Recipe.from_toml((folder / "recipe.toml").read_text(encoding="utf-8"))
    assert (folder / "study.toml").read_text(encoding="utf-8") == study.text


def decided_anew(ledger: Ledger, but: str = "") -> list[str]:
    """The effects of what was decided on more than once: of each but the last, too little had been shown. ``but``: a
    session that does not count."""
    reasons: dict[str, list[str]] = {}
    for proposal in ledger.proposals("WHERE session != ?", (but,)):
        decision = ledger.decision(proposal.id)
        assert decision is not None
        reasons.setdefault(ledger.recipe(proposal.child).effect, []).append(decision.reason)
    assert all(reason in (*UNDECIDED, *NOT_TRIED) for own in reasons.values() for reason in own[:-1])
    return [effect for effect, own in reasons.items() if len(own) > 1]


def test_the_same_seed_gives_the_same_decisions(study: Study, tmp_path: Path) -> None:
    def gist(folder: Path) -> list[Any]:
        with ledger_of(folder) as ledger:
            return [(p.knob, p.after) for p in ledger.proposals()] + [d.reason for d in ledger.decisions()]

    for name in ("a", "b"):
        play(study, tmp_path / name, decisions=6, seed=3)
    play(study, tmp_path / "c", decisions=6, seed=4)
    assert gist(tmp_path / "a") == gist(tmp_path / "b")
    assert gist(tmp_path / "a") != gist(tmp_path / "c")


def test_the_next_session_goes_on_from_what_stands_and_fresh_does_not(tmp_path: Path) -> None:
    text = SHORT.replace("learning_rate = 1e-4", "learning_rate = 4e-6")
    study = load_study(simulated_study.write_study(tmp_path / "study", text))
    play(study, tmp_path, decisions=6)
    second = play(study, tmp_path, decisions=2)
    third = play(study, tmp_path, decisions=2, start_from="study")
    with ledger_of(tmp_path) as ledger:
        first = ledger.sessions()[0]
        stood = ledger.decisions("WHERE session = ?", (first,))[-1].incumbent
        starts = {name: session.start for name in ledger.sessions() if (session := ledger.session(name))}
        assert stood != study.start.digest
        assert starts[second] == stood
        assert starts[third] == study.start.digest
        decided_anew(ledger, but=third)  # it began where the first did, and may keep what that kept


@pytest.mark.long
def test_what_stood_before_data_was_added_is_offered_and_taken_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SimulatedRunner, "base", "a base")  # a simulated one depends on the sources
    text = SHORT.replace("learning_rate = 1e-4", "learning_rate = 4e-6")
    path = simulated_study.write_study(tmp_path / "study", text)
    first = play(load_study(path), tmp_path, decisions=6)
    with pytest.raises(BadInput, match="--from-incumbent takes the recipe that an earlier session of study simulated"):
        play(load_study(path), tmp_path / "elsewhere", start_from="before")
    simulated_study.write_jsonl(path.parent / "harvested.jsonl", simulated_study.pairs("harvested"))
    path.write_text(
        text.replace("[data.manifests.even]", 'harvested = "harvested.jsonl"\n[data.manifests.even]', 1),
        encoding="utf-8",
    )
    grown = load_study(path)
    capsys.readouterr()
    own = play(grown, tmp_path, decisions=1)
    told = capsys.readouterr().err
    assert f"session {first} left the recipe " in told
    assert "learning_rate 4e-06 -> " in told
    assert "the study got the source harvested" in told
    assert "run it again with --from-incumbent" in told
    carried = play(grown, tmp_path, decisions=1, start_from="before")
    later = play(grown, tmp_path, decisions=1)
    with ledger_of(tmp_path) as ledger:
        rows = {name: row for name in ledger.sessions() if (row := ledger.session(name))}
        stood = ledger.decisions("WHERE session = ? AND status = 'KEEP'", (first,))[-1].incumbent
        assert rows[own].start == grown.start.digest
        assert rows[carried].start == stood
        kept = ledger.decisions("WHERE session = ? AND status = 'KEEP'", (carried,))
        assert rows[later].start == (kept[-1].incumbent if kept else stood)
        assert rows[carried].question == rows[own].question != rows[first].question
        assert not {row.key for row in ledger.probes(carried)} & {row.key for row in ledger.probes(first)}


def test_a_session_that_is_killed_as_it_begins_has_what_was_found_before_it(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examination of its scorer, and where its start comes from: a resumed session cannot find these again."""
    passed = ExaminationRow(session="", turn=0, time="2026-01-01T00:00:00Z", passed=True, data={"epoch": 1})
    carried = CheckRow(session="", kind="carried", subject="", time=passed.time, data={})
    monkeypatch.setattr(JudgeMonitor, "first_row", lambda _, session: replace(passed, session=session))
    monkeypatch.setattr(StartingRecipe, "check", lambda _, session: replace(carried, session=session))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SessionLog, "record_in", killed)
    with pytest.raises(KeyboardInterrupt):
        play(study, tmp_path)
    with ledger_of(tmp_path) as ledger:
        (session,) = ledger.sessions()
        assert ledger.examinations(session) == [replace(passed, session=session)]
        assert ledger.checks(session) == [replace(carried, session=session)]


def test_a_recipe_is_not_carried_over_when_more_than_data_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SimulatedRunner, "base", "a base")
    text = SHORT.replace("learning_rate = 1e-4", "learning_rate = 4e-6")
    path = simulated_study.write_study(tmp_path / "study", text)
    play(load_study(path), tmp_path, decisions=6)
    simulated_study.write_jsonl(path.parent / "harvested.jsonl", simulated_study.pairs("harvested"))
    more = text.replace("[data.manifests.even]", 'harvested = "harvested.jsonl"\n[data.manifests.even]', 1)
    path.write_text(more.replace("steps = 20", "steps = 21"), encoding="utf-8")
    play(load_study(path), tmp_path, decisions=1)
    assert "--from-incumbent" not in capsys.readouterr().err


@pytest.mark.usefixtures("drawn")
def test_a_starting_recipe_that_fails_ends_the_session_with_its_reason(tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace("learning_rate = 1e-4", "learning_rate = 0.8")
    study = load_study(simulated_study.write_study(tmp_path / "study", text))
    with pytest.raises(BaselineFailed, match="loss is nan"):
        play(study, tmp_path)
    assert "CRASH" in (tmp_path / "results.tsv").read_text(encoding="utf-8")


@pytest.mark.usefixtures("drawn")
def test_a_budget_of_probes_or_dollars_ends_a_session(tmp_path: Path) -> None:
    text = simulated_study.STUDY.replace("disk_gb = 0", "disk_gb = 0\nprobes = 24\ndollars_per_hour = 1.0")
    study = load_study(simulated_study.write_study(tmp_path / "study", text))
    play(study, tmp_path)
    table = read_results(tmp_path / "results.tsv")
    assert table["cost_usd"].notna().any()
    with ledger_of(tmp_path) as ledger:
        assert len(ledger.probes(ledger.sessions()[0])) <= 24


@pytest.mark.usefixtures("drawn")
def test_an_interrupted_session_goes_on_and_ends_as_if_it_had_not_been(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(study, tmp_path / "whole")
    interrupted(study, tmp_path / "cut", monkeypatch, 10)
    go_on(tmp_path / "cut")
    columns = ["status", "knob", "before", "after", "delta", "ci_low", "reason"]
    tables = [read_results(tmp_path / name / "results.tsv")[columns] for name in ("whole", "cut")]
    assert tables[0].equals(tables[1])
    with pytest.raises(BadInput, match="begin a new one"):
        go_on(tmp_path / "cut")


CHANGES = (
    ("study.toml", "arithmetic = 1.5", "arithmetic = 2.5", r"no longer asks .* \(guards\.arithmetic: 1\.5 -> 2\.5; a"),
    ("study.toml", "steps = 20", "steps = 21", r"no longer asks .* \(probe\.steps: 20 -> 21; a copy"),
    ("prompts.jsonl", "# lists 0 for probe", "# lists zero for probe", r"began prompts differs \("),
    ("good.jsonl", "x * 3", "x * 4", r"began data differs \("),
)


def test_a_study_that_changed_is_not_resumed_until_it_is_as_it_was(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(study, tmp_path, monkeypatch, 10)
    for file, before, after, part in CHANGES:
        path = tmp_path / "study" / file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(before, after), encoding="utf-8")
        with pytest.raises(StudyChanged, match=part):
            go_on(tmp_path)
        path.write_text(text, encoding="utf-8")
    go_on(tmp_path, decisions=1)


@pytest.mark.long
def test_a_bad_row_that_was_removed_or_mended_between_interrupt_and_resume_changes_nothing(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, path = tmp_path / "study" / "good.jsonl", study.path
    first, *others = rows.read_text(encoding="utf-8").splitlines()
    asked = path.read_text(encoding="utf-8").replace("[data.sources]", '[data]\nbad_rows = "leave_out"\n[data.sources]')
    path.write_text(asked, encoding="utf-8")
    rows.write_text("\n".join([first, "{", *others]), encoding="utf-8")
    for name, later in {"removed": [first, *others], "parted": [first, "", others[-1], others[-2], *others]}.items():
        with monkeypatch.context() as patched:
            rows.write_text("\n".join([first, "{", *others]), encoding="utf-8")
            interrupted(load_study(path), tmp_path / name, patched, 4)
        rows.write_text("\n".join(later), encoding="utf-8")
        resumed = go_on(tmp_path / name, decisions=2)
        with Ledger(tmp_path / name / "runs" / "ledger.sqlite", read_only=True) as ledger:
            session = ledger.session(resumed)
        assert session is not None
        assert session.finished


@pytest.mark.long
@pytest.mark.usefixtures("drawn")
def test_a_study_that_changes_under_a_running_session_ends_it_before_it_decides(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SimulatedRunner.run

    def meddle(self: SimulatedRunner, batch: Any, *others: Any) -> Any:
        outcomes = original(self, batch, *others)
        if batch and batch[0].recipe != study.start:
            path = tmp_path / "study" / "prompts.jsonl"
            path.write_text(
                path.read_text(encoding="utf-8").replace('"expected": 0', '"expected": 1'), encoding="utf-8"
            )
        return outcomes

    monkeypatch.setattr(SimulatedRunner, "run", meddle)
    with pytest.raises(StudyChanged, match="the prompts of the probe key"):
        play(study, tmp_path)
    assert "DISCARD" not in (tmp_path / "results.tsv").read_text(encoding="utf-8")


def test_a_probe_that_was_finished_before_the_interrupt_is_not_run_again(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(study, tmp_path, monkeypatch, 4)  # three of the baseline's, one of the first candidate's
    assert len(list((tmp_path / "runs").glob("probe-*/outcome.json"))) == 4
    ran: list[str] = []
    original = SimulatedRunner._run_one

    def count(self: SimulatedRunner, probe: Probe, listener: Any) -> Any:
        ran.append(probe.id)
        return original(self, probe, listener)

    monkeypatch.setattr(SimulatedRunner, "_run_one", count)
    session = go_on(tmp_path)
    with ledger_of(tmp_path) as ledger:
        probes = {probe.id for probe in ledger.probes(session)}
    assert len(ran) == len(set(ran)) == len(probes) - 4
    assert set(ran) < probes


def test_the_budget_may_change_between_interrupt_and_resume(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(study, tmp_path, monkeypatch, 10)
    session = go_on(tmp_path, decisions=4)
    with ledger_of(tmp_path) as ledger:
        assert len(ledger.decisions("WHERE session = ? AND turn > 0", (session,))) <= 12


def test_a_second_session_in_the_workspace_is_refused(study: Study, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.held():
        assert workspace.holder() == os.getpid()
        with pytest.raises(WorkspaceBusy, match=str(os.getpid())):
            play(study, tmp_path)
    assert workspace.holder() is None
    play(study, tmp_path, decisions=1)


def test_a_probe_that_finds_the_disk_full_ends_the_session_and_costs_no_decision(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: SimulatedRunner, probe: Probe, listener: Any) -> Failure:
        return Failure(probe.id, probe.seed, "disk", "No space left on device")

    with (
        monkeypatch.context() as patched,
        pytest.raises(DiskFull, match="free some space; then go on with: nightlane resume"),
    ):
        patched.setattr(SimulatedRunner, "_run_one", full)
        play(study, tmp_path)
    go_on(tmp_path)
    with ledger_of(tmp_path) as ledger:
        assert {decision.status for decision in ledger.decisions()} <= {"BASELINE", "KEEP", "DISCARD"}


@pytest.mark.parametrize("error", [MissingRequirement, EndpointUnavailable, DiskFull])
def test_only_what_ends_a_session_that_exists_offers_to_resume_it(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: object) -> Any:
        raise error("it is gone; start it")

    with monkeypatch.context() as patched, pytest.raises(error) as before:
        patched.setattr("agent.loop.start_or_resume.session.open_runner", fail)
        play(study, tmp_path)
    assert str(before.value) == "it is gone; start it"
    with monkeypatch.context() as patched, pytest.raises(error) as within:
        patched.setattr(SimulatedRunner, "run", fail)
        play(study, tmp_path)
    assert str(within.value) == f"it is gone; start it; then go on with: nightlane resume --workspace {tmp_path}"


def test_an_infrastructure_failure_is_tried_again_by_a_later_session(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: SimulatedRunner, probe: Probe, listener: Any) -> Failure:
        return Failure(probe.id, probe.seed, "lost_worker", "gone")

    with monkeypatch.context() as patched, pytest.raises(BaselineFailed):
        patched.setattr(SimulatedRunner, "_run_one", lost)
        play(study, tmp_path)
    play(study, tmp_path, decisions=1)
    with ledger_of(tmp_path) as ledger:
        assert [d.status for d in ledger.decisions()][:2] == ["CRASH", "BASELINE"]


@pytest.mark.long
def test_what_was_kept_stands_when_the_lanes_change(tmp_path: Path) -> None:
    text = SHORT.replace("learning_rate = 1e-4", "learning_rate = 4e-6")
    path = simulated_study.write_study(tmp_path / "study", text)
    play(load_study(path), tmp_path, decisions=4)
    play(load_study(path), tmp_path, decisions=1, start_from="study")
    path.write_text(text.replace("beta = true", "beta = true\nlora_rank = true"), encoding="utf-8")
    last = play(load_study(path), tmp_path, decisions=1)
    with ledger_of(tmp_path) as ledger:
        kept = [decision.incumbent for decision in ledger.decisions() if decision.status == "KEEP"]
        session = ledger.session(last)
        assert session is not None
        assert session.start in kept


@pytest.mark.parametrize("content", [b"garbage" * 1000, b""])
def test_checkpoints_that_cannot_be_read_are_set_aside(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    interrupted(study, tmp_path, monkeypatch, 14)
    checkpoint = next((tmp_path / "runs").glob("session-*/checkpoint.sqlite"))
    for file in checkpoint.parent.glob("checkpoint.sqlite*"):
        file.unlink()
    checkpoint.write_bytes(content)
    go_on(tmp_path)
    with ledger_of(tmp_path) as ledger:
        assert len(read_results(tmp_path / "results.tsv")) == 1 + len(ledger.proposals())


def test_a_ledger_that_is_none_is_refused_with_its_remedy(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "ledger.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"")
    with pytest.raises(BadInput, match="holds no session yet"):
        go_on(tmp_path)
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(BadInput, match="doctor --repair"):
        play(study, tmp_path)


@pytest.mark.long
def test_files_that_vanish_under_a_session_end_it_as_changed(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(study, tmp_path, monkeypatch, 10)
    original = SimulatedRunner.run

    def vanish(self: SimulatedRunner, *arguments: Any) -> Any:
        outcomes = original(self, *arguments)
        (tmp_path / "study" / "prompts.jsonl").unlink()
        return outcomes

    monkeypatch.setattr(SimulatedRunner, "run", vanish)
    with pytest.raises(StudyChanged, match="cannot be read any more"):
        go_on(tmp_path)


def test_a_decision_stores_the_policy_it_was_made_under(study: Study, tmp_path: Path) -> None:
    play(study, tmp_path, decisions=1)
    with ledger_of(tmp_path) as ledger:
        decision = ledger.decisions()[-1]
    policy = dict(decision.policy)
    assert policy.pop("digest") == digest_of(policy) == decision.row["policy"]
    assert policy == {
        **PolicySettings(disguised=0.0, holdout_seeds=0).model_dump(exclude={"must_see"}),
        "target": "lists",
        "guards": {"arithmetic": 1.5},
    }


@pytest.mark.long
def test_a_search_that_took_decisions_up_one_by_one_knows_what_a_new_one_does(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catch_up, compared = Search.catch_up, []

    def known(search: Search) -> dict[str, Any]:
        search.barred()  # reads the decisions, which are read only when they are needed
        cached = ("_tried", "begun")
        return {name: value for name, value in vars(search).items() if name not in cached}

    def caught_up(search: Search) -> None:
        begun = hasattr(search, "begun")
        search.begun = True  # type: ignore[attr-defined]
        catch_up(search)
        if begun:
            compared.append(known(search) == known(Search(search.row, search.study, search.ledger)))

    monkeypatch.setattr(Search, "catch_up", caught_up)
    play(study, tmp_path, decisions=6)
    play(study, tmp_path, seed=1, decisions=4)
    assert len(compared) > 10
    assert all(compared)


def test_a_session_that_asks_no_proposer_reads_no_earlier_decision(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be thousands. Its waves are drawn from earlier readings."""
    play(study, tmp_path, decisions=4)
    monkeypatch.setattr(Ledger, "history", lambda *_: pytest.fail("the decisions of earlier sessions are read"))
    session = play(study, tmp_path, seed=1, decisions=2)
    with Ledger(tmp_path / "runs" / "ledger.sqlite", read_only=True) as ledger:
        assert ledger.totals(session).decisions == 2


@pytest.mark.parametrize("bad", ["refuse", "leave_out"])
def test_a_source_that_changes_while_the_workers_start_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    text = SHORT.replace("[data.sources]", f'[data]\nbad_rows = "{bad}"\n[data.sources]')
    found = load_study(simulated_study.write_study(tmp_path / "study", text))
    starting = open_runner

    def slow(*arguments: Any) -> Any:
        path = tmp_path / "study" / "good.jsonl"
        path.write_text("".join(path.read_text(encoding="utf-8").splitlines(True)[1:]), encoding="utf-8")
        return starting(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr("agent.loop.start_or_resume.session.open_runner", slow)
        with pytest.raises(StudyChanged, match=r"source good \(.*good\.jsonl\) changed since; run it again"):
            play(found, tmp_path)
    with ledger_of(tmp_path) as ledger:
        assert ledger.sessions() == []
    play(load_study(found.path), tmp_path, decisions=1)
