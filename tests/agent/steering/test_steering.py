"""A person steers a simulated night while it runs: every request is taken once, answered, and survives kills."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import nights
import pytest
import settings_nights
import tiny
from ledger_rows import SESSION
from long_cases import all_but
from snapshots import WRITES, copied, truth

from agent.ledger.requests import RequestAnswer, SteeringRequest
from agent.ledger.store import Ledger
from agent.ledger.tables import ProposalRow, SessionRow
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.policy.search_parts import SearchParts
from agent.proposers import Chain, Declined, Situation
from agent.proposers.tpe import TpeProposer
from agent.steering import requests
from agent.steering.requests import RecordedRequest, ask
from agent.workspace.folder import Workspace
from common.errors import BadInput
from lanes import show
from probes.result.reading import Probe
from probes.run.store import ProbeStore
from testing.simulated_runner import SimulatedRunner
from view.report.report import write_report
from view.terminal.status import session_status, status_text

Act = Callable[[Workspace], object]


class Person(nights.Silent):
    """Acts before given batches of probes, counted from 1."""

    def __init__(self, workspace: Workspace, acts: Mapping[int, Act]) -> None:
        super().__init__()
        self.workspace, self.acts = workspace, acts

    def measuring(self, title: str, probes: Sequence[Probe]) -> None:
        super().measuring(title, probes)
        if self.batches in self.acts:
            self.acts[self.batches](self.workspace)


STUDY = nights.variant(probes="60").replace("simulated_seconds = 0.01\n", "").replace("decisions = 8\n", "")


def steered(folder: Path, acts: Mapping[int, Act], text: str = STUDY, proposers: Chain | None = None) -> Workspace:
    workspace, study = Workspace(folder / "workspace"), nights.study(folder, text, per_category=4)
    begin(study, workspace, Overrides(), Person(workspace, acts), write_report, proposers=proposers)
    return workspace


def asked(workspace: Workspace) -> tuple[SteeringRequest, ...]:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return ledger.requests(session(workspace).id)


def session(workspace: Workspace) -> SessionRow:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        found = ledger.session()
    assert found is not None
    return found


def proposals(workspace: Workspace) -> list[ProposalRow]:
    with Ledger(workspace.ledger, read_only=True) as ledger:
        return ledger.proposals()


def propose(change: str, why: str = "") -> Act:
    return lambda workspace: ask(workspace, "propose", requests.propose(change, why))


def answers(workspace: Workspace) -> list[str]:
    return [request.answer.text if request.answer else "" for request in asked(workspace)]


def test_a_persons_proposal_is_in_the_next_wave_and_is_decided_like_any_other(tmp_path: Path) -> None:
    def act(workspace: Workspace) -> None:
        taken = {row.after for row in proposals(workspace) if row.knob == "learning_rate"}
        value = next(value for value in (2e-4, 4e-4, 8e-4, 1.6e-3) if value not in taken)
        propose(f"learning_rate={value:.5f}", "larger  rates\nhelp")(workspace)
        chosen.append(value)

    chosen: list[float] = []
    workspace = steered(tmp_path, {2: act})
    [mine] = [row for row in proposals(workspace) if row.proposer == "person"]
    assert (mine.knob, mine.after, mine.hypothesis) == ("learning_rate", chosen[0], "larger rates help")
    [request] = asked(workspace)
    assert request.answer is not None
    assert request.answer.data["proposal"] == mine.id
    with Ledger(workspace.ledger, read_only=True) as ledger:
        carried = {
            check.subject: [name for made in check.data["recipes"] for name in made["proposals"]]
            for check in ledger.checks(mine.session, "wave")
        }
        decision = ledger.decision(mine.id)
    assert mine.id not in carried["1"]
    assert mine.id in carried["2"]
    assert decision is not None
    assert decision.row["proposer"] == "person"
    table = (workspace.root / "results.tsv").read_text(encoding="utf-8")
    assert "\tperson\t" in table
    log = (workspace.runs / "progress.log").read_text(encoding="utf-8")
    asked_for = f'propose learning_rate={chosen[0]:g} --why "larger rates help"'
    assert f"REQUEST 1 {asked_for}: it is proposal {mine.id[-3:]}, and in wave 2" in log


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ("warmup", "a proposal names one knob and its value as KNOB=VALUE and 'warmup' does not"),
        ("warmpu=0.3", "'warmpu' is not a knob of this study; did you mean 'warmup'?"),
        ("learning_rate=3", "learning_rate=3 is outside [1.5625e-06, 0.8192]; widen it under [lanes.hyperparameters]"),
        ("learning_rate=1e-4", "learning_rate=0.0001 is what the recipe has already; propose another value"),
        ("curriculum=sideways", "curriculum=sideways is not one of"),
    ],
)
def test_an_illegal_proposal_is_refused_at_once_and_leaves_nothing(tmp_path: Path, change: str, law: str) -> None:
    told: list[str] = []

    def act(workspace: Workspace) -> None:
        with pytest.raises(BadInput) as refused:
            propose(change)(workspace)
        told.append(str(refused.value))

    workspace = steered(tmp_path, {2: act}, STUDY.replace("probes = 60", "probes = 24"))
    assert law in told[0]
    assert asked(workspace) == ()


def test_a_proposal_that_the_incumbent_can_no_longer_make_is_refused_with_its_law(tmp_path: Path) -> None:
    """A stack with the same change is kept while the request waits."""
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52").replace("decisions = 8\n", "probes = 60\n")
    workspace, study = Workspace(tmp_path / "workspace"), nights.study(tmp_path, text)
    runner = SimulatedRunner(study.material, ProbeStore(workspace.runs), world=nights.ADDING)

    def act(workspace: Workspace) -> None:
        with Ledger(workspace.ledger, read_only=True) as ledger:
            if not sent and ledger.checks(ledger.sessions()[0], "stack"):
                sent.append(propose("beta=0.2")(workspace))

    sent: list[object] = []
    person = Person(workspace, dict.fromkeys(range(1, 90), act))
    parts = SearchParts(next_step=nights.hasty())
    begin(study, workspace, Overrides(), person, write_report, runner=runner, parts=parts)
    assert answers(workspace) == ["refused: beta=0.2 is what the recipe has already; propose another value"]
    assert [row.after for row in proposals(workspace)].count(0.2) == 1


def test_without_room_for_a_wave_a_proposal_is_refused_with_the_remedy(tmp_path: Path) -> None:
    workspace = steered(tmp_path, {2: propose("warmup=0.2")}, STUDY.replace("probes = 60", "probes = 20"))
    [text] = answers(workspace)
    assert text.endswith("too few for a wave and a confirmation; raise nightlane budget")
    assert "person" not in {row.proposer for row in proposals(workspace)}


def test_a_skipped_change_gets_a_row_and_is_in_no_later_recipe(tmp_path: Path) -> None:
    skipped: list[ProposalRow] = []

    def act(workspace: Workspace) -> None:
        skipped.append(next(row for row in proposals(workspace) if row.knob == "beta"))
        ask(workspace, "skip", requests.skip(skipped[0].id.rpartition("-")[2]))

    workspace = steered(tmp_path, {2: act})
    [row] = skipped
    with Ledger(workspace.ledger, read_only=True) as ledger:
        decision = ledger.decision(row.id)
        assert decision is not None
        assert (decision.status, decision.reason) == ("DISCARD", "skipped")
        later = [check for check in ledger.checks(row.session) if check.kind in ("wave", "stack")][1:]
        recipes = [ledger.recipe(made["recipe"]) for check in later for made in check.data["recipes"]]
    assert len(recipes) > 4
    assert row.after not in {recipe.beta for recipe in recipes}
    assert "any more in this session" in answers(workspace)[0]
    report = (workspace.session(row.session) / "report.md").read_text(encoding="utf-8")
    assert "## Requests of a person" in report
    assert f"skip {row.id[-3:]}" in report
    assert "a person took it out of the search" in report


def test_what_cannot_be_skipped_is_refused_at_once(tmp_path: Path) -> None:
    def act(workspace: Workspace) -> None:
        with pytest.raises(BadInput, match="has no proposal '999'"):
            ask(workspace, "skip", requests.skip("999"))
        with Ledger(workspace.ledger, read_only=True) as ledger:
            if decided := [row for row in ledger.decisions() if row.turn > 0]:
                with pytest.raises(BadInput, match=f"is decided \\({decided[0].status}"):
                    ask(workspace, "skip", requests.skip(decided[0].id))
                refused.append(decided[0].id)

    refused: list[str] = []
    steered(tmp_path, dict.fromkeys(range(2, 40), act))
    assert refused


@pytest.mark.long
def test_a_skipped_change_that_a_person_proposes_again_is_tried_again(tmp_path: Path) -> None:
    def skip(workspace: Workspace) -> None:
        row = next(row for row in proposals(workspace) if row.knob == "beta")
        ask(workspace, "skip", requests.skip(row.id))
        found.append(row)

    def again(workspace: Workspace) -> None:
        propose(f"beta={show(found[0].after)}")(workspace)

    found: list[ProposalRow] = []
    workspace = steered(tmp_path, {2: skip, 3: again}, STUDY.replace("probes = 60", "probes = 90"))
    assert [row.proposer for row in proposals(workspace) if (row.knob, row.after) == ("beta", found[0].after)][-1] == (
        "person"
    )


def test_stop_ends_the_session_before_its_next_batch(tmp_path: Path) -> None:
    workspace = steered(tmp_path, {2: lambda workspace: ask(workspace, "stop", requests.stop(after_round=False))})
    assert session(workspace).finish_reason == "a person stopped it (request 1)"
    with Ledger(workspace.ledger, read_only=True) as ledger:
        checks = {check.kind for check in ledger.checks(session(workspace).id)}
    assert "stack" not in checks
    assert (workspace.session(session(workspace).id) / "report.html").exists()


def test_stop_after_the_round_still_decides_on_the_stack(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52").replace("decisions = 8\n", "probes = 60\n")
    workspace, study = Workspace(tmp_path / "workspace"), nights.study(tmp_path, text)
    runner = SimulatedRunner(study.material, ProbeStore(workspace.runs), world=nights.ADDING)

    def act(workspace: Workspace) -> None:
        with Ledger(workspace.ledger, read_only=True) as ledger:
            if not stopped and ledger.checks(ledger.sessions()[0], "stack"):
                stopped.append(ask(workspace, "stop", requests.stop(after_round=True)))

    stopped: list[RecordedRequest] = []
    person = Person(workspace, dict.fromkeys(range(1, 90), act))
    begin(
        study, workspace, Overrides(), person, write_report, runner=runner, parts=SearchParts(next_step=nights.hasty())
    )
    with Ledger(workspace.ledger, read_only=True) as ledger:
        assert len(ledger.checks(stopped[0].session, "stack")) == 1
        assert [row.status for row in ledger.decisions()].count("KEEP") == 2
        assert ledger.checks(stopped[0].session, "holdout"), "the checks at the end were made"
    assert session(workspace).finish_reason == "a person stopped it (request 1)"


def test_another_budget_ends_the_session_there(tmp_path: Path) -> None:
    workspace = steered(
        tmp_path, {1: lambda workspace: ask(workspace, "budget", requests.budget({"probes": 24, "hours": None}))}
    )
    assert session(workspace).limits["probes"] == 24
    with Ledger(workspace.ledger, read_only=True) as ledger:
        assert len(ledger.probes(session(workspace).id)) <= 24
    assert session_status(workspace, None)["budget"]["probes"] == 24
    text = (workspace.session(session(workspace).id) / "report.md").read_text(encoding="utf-8")
    assert "by the limits at the start; a person changed them later" in text


def test_a_budget_without_a_limit_is_refused(tmp_path: Path) -> None:
    def act(workspace: Workspace) -> None:
        with pytest.raises(BadInput, match="none is given; give --hours"):
            ask(workspace, "budget", requests.budget({"hours": None}))

    steered(tmp_path, {1: act}, STUDY.replace("probes = 60", "probes = 20"))


def test_a_note_is_shown_to_who_proposes_from_then_on(tmp_path: Path) -> None:
    seen: list[tuple[str, ...]] = []

    class Listening:
        name = "listening"

        def propose(self, situation: Situation) -> Declined:
            seen.append(tuple(situation.notes))
            return Declined()

    chain = Chain(Listening(), TpeProposer(), 1.0, "listening")
    text = "prefer small rates\nas the data is \x1b[31mnoisy"
    act = {2: lambda workspace: ask(workspace, "note", requests.note(text))}
    steered(tmp_path, act, proposers=chain)
    assert set(seen) == {(), ("prefer small rates as the data is [31mnoisy",)}
    assert seen[0] == ()
    assert seen[-1] != ()


@pytest.mark.parametrize(("text", "law"), [(" \n", "is empty"), ("x" * 1001, "at most 1000 characters")])
def test_a_note_says_something_in_a_thousand_characters(text: str, law: str) -> None:
    with pytest.raises(BadInput, match=law):
        requests.note(text)(None)  # type: ignore[arg-type]


def sleep_by(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """The session does this instead of sleeping; threads that other tests left sleep as they did."""
    real = time.sleep
    monkeypatch.setattr(time, "sleep", lambda s: act() if current_thread() is main_thread() else real(s))


def test_a_paused_session_waits_costs_no_hours_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[dict[str, Any]] = []

    def wait() -> None:
        workspace = Workspace(tmp_path / "workspace")
        looks.append(session_status(workspace, None))
        monkeypatch.setattr(time, "monotonic", lambda: real() + 3600 * len(looks))
        if len(looks) == 3:
            ask(workspace, "continue")

    real = time.monotonic
    sleep_by(monkeypatch, wait)
    act = {2: lambda workspace: ask(workspace, "pause")}
    workspace = steered(tmp_path, act, STUDY.replace("probes = 60", "probes = 24"))
    assert len(looks) == 3
    assert {look["held"] for look in looks} == {"paused; nightlane continue goes on"}
    assert "paused; nightlane continue goes on" in status_text(looks[0])
    assert len({look["probes"] for look in looks}) == 1, "nothing ran in the meantime"
    assert answers(workspace) == ["paused; nightlane continue goes on", "goes on"]
    assert session_status(workspace, None)["active_hours"] < 1
    assert session_status(workspace, None)["state"] == "finished"


def test_a_session_that_was_killed_while_it_was_paused_is_paused_when_it_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "workspace")

    def die() -> None:
        raise KeyboardInterrupt

    sleep_by(monkeypatch, die)
    text = STUDY.replace("probes = 60", "probes = 24")
    with pytest.raises(KeyboardInterrupt):
        steered(tmp_path, {2: lambda workspace: ask(workspace, "pause")}, text)
    before = session_status(workspace, None)
    with pytest.raises(KeyboardInterrupt):
        resume(workspace, None, Overrides(), nights.Silent(), write_report)
    after = session_status(workspace, None)
    assert before["probes"] == after["probes"]
    assert after["held"]
    done = ask(workspace, "continue")
    assert not done.is_running, "it is taken when the session is resumed"
    resume(workspace, None, Overrides(), nights.Silent(), write_report)
    assert session(workspace).finished
    assert answers(workspace) == ["paused; nightlane continue goes on", "goes on"]


def test_only_a_session_that_has_not_ended_can_be_steered(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="start one with nightlane run STUDY"):
        ask(Workspace(tmp_path), "pause")
    workspace = steered(tmp_path, {}, STUDY.replace("probes = 60", "probes = 20"))
    with pytest.raises(
        BadInput,
        match=r"has no session that can be steered \(the last, .*, ended: .*\); begin one with nightlane run STUDY",
    ):
        ask(workspace, "pause")


def test_a_request_that_came_too_late_is_answered(tmp_path: Path) -> None:
    study = nights.study(tmp_path, STUDY.replace("probes = 60", "probes = 20"), per_category=4)
    workspace = Workspace(tmp_path / "workspace")

    class Late(nights.Silent):
        def note(self, text: str) -> None:
            if text.startswith("POWER") and not done:
                done.append(text)
                ask(workspace, "skip", lambda found: {"proposal": "none", "number": "001"})

    done: list[str] = []

    def stop(workspace: Workspace) -> None:
        ask(workspace, "stop", requests.stop(after_round=False))

    watcher = Late()
    watcher.measuring = lambda title, probes: None if done else stop(workspace)  # type: ignore[method-assign]
    begin(study, workspace, Overrides(), watcher, write_report)
    assert answers(workspace) == ["the session ends now", "too late: the session ended first"]


def test_a_session_ends_together_with_the_answers_to_what_it_did_not_take(tmp_path: Path) -> None:
    def killed(request: SteeringRequest) -> str:
        raise KeyboardInterrupt

    late = RequestAnswer(time="2026-01-01T00:00:00Z", text="too late")
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as ledger:
        ledger.begin(SESSION, tiny.recipe())
        ledger.record_request("s1", SESSION.started, "pause", {})
        with pytest.raises(KeyboardInterrupt):
            ledger.finish_and_refuse("s1", SESSION.started, "budget spent", late, killed)
        assert ledger.unfinished() == "s1"
        assert ledger.finish_and_refuse("s1", SESSION.started, "budget spent", late, lambda request: "e") == ["e"]
        assert [request.answer for request in ledger.requests("s1")] == [late]


# kills


def steer_all(workspace: Workspace) -> None:
    """Every kind of request at once, the last ones of a night's first wave."""
    beta = next(row for row in proposals(workspace) if row.knob == "beta")
    ask(workspace, "pause")
    ask(workspace, "propose", requests.propose("curriculum=easy_first", "a person thinks so"))
    ask(workspace, "skip", requests.skip(beta.id))
    ask(workspace, "note", requests.note("be careful"))
    ask(workspace, "budget", requests.budget({"probes": 52}))
    ask(workspace, "continue")


@pytest.mark.parametrize("kills", all_but([2], [2, 8]))
def test_requests_survive_a_kill_after_any_write_and_are_carried_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    asked_of = settings_nights.study(tmp_path / "study", {"budget": {"probes": "60"}, "policy": {"wave": "4"}})
    workspace = Workspace(tmp_path / "whole")
    taken: list[Path] = []

    def with_snapshot(write: Callable[..., Any]) -> Callable[..., Any]:
        def both(*given: Any, **named: Any) -> Any:
            found = write(*given, **named)
            answered = 0 if not workspace.ledger.exists() else sum(bool(text) for text in answers(workspace))
            if complete and (answered < 6 or not later):
                target = tmp_path / f"kill-{len(taken):03d}"
                copied(workspace.root, target)
                taken.append(target)
                later.extend([target] if answered == 6 else [])
            return found

        return both

    complete: list[bool] = []
    later: list[Path] = []

    def act(workspace: Workspace) -> None:
        steer_all(workspace)
        complete.append(True)

    with monkeypatch.context() as patched:
        for name in WRITES:
            patched.setattr(Ledger, name, with_snapshot(getattr(Ledger, name)))
        begin(
            asked_of,
            workspace,
            Overrides(),
            Person(workspace, {2: act}),
            write_report,
            runner=settings_nights.Runner(asked_of, workspace.runs),
        )
    whole = truth(workspace.root)
    assert len(asked(workspace)) == 6
    assert all(answers(workspace))
    assert "person" in {row["proposer"] for row in whole["proposals"]}
    assert len(taken) > 8
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for folder in sorted({*taken[:: max(1, len(taken) // kills)], *later}):
        killed = Workspace(folder)
        monkeypatch.setattr(
            "agent.loop.start_or_resume.session.open_runner",
            lambda *_, runs=killed.runs: settings_nights.Runner(asked_of, runs),
        )
        resume(killed, None, Overrides(), nights.Silent(), lambda where, name: where.session(name))
        found = truth(folder)
        assert {name for name in whole if found[name] != whole[name]} == set(), folder.name
        shutil.rmtree(folder)
