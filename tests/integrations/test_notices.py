"""Notices of simulated nights, received by a real HTTP server through apprise."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nights
import pytest
from commands import LONGEST, Command, nightlane
from receivers import Receiver, receiving

from agent.ledger.tables import ExaminationRow
from agent.loop.start_or_resume.session import Overrides, begin, resume
from agent.policy.search_parts import SearchParts
from agent.study.load import Study
from agent.study.schema import NotifySettings
from agent.workspace.folder import Workspace
from common import optional_dependencies
from common.errors import BadInput, MissingRequirement
from integrations.notices.follow import notifying
from integrations.notices.notice import Notice, due
from integrations.notices.send import Sender, addresses
from integrations.notices.watchdog import Watchdog
from probes.run.store import ProbeStore
from testing import simulated_study
from testing.simulated_runner import SimulatedRunner, World
from view.data.session_record import load_record
from view.report.report import write_report

pytest.importorskip("apprise")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.follower.SECONDS", 0.01)


def study(folder: Path, *urls: str) -> Study:
    text = nights.governed(nights.TWO_KNOBS, member_chance="0.52").replace("decisions = 8\n", "probes = 40\n")
    return nights.study(folder, f"{text}[notify]\nurls = {[*urls]!r}\n")


def night(
    folder: Path,
    asked: Study,
    said: list[str] | None = None,
    watcher: nights.Silent | None = None,
    world: World | None = nights.ADDING,
) -> Workspace:
    """A night with KEEPs, with its notices."""
    workspace = Workspace(folder / "workspace")
    runner = SimulatedRunner(asked.material, ProbeStore(workspace.runs), 0.005, world)
    show = (said if said is not None else []).append
    with notifying(asked.name, asked.file.notify, workspace, show):
        begin(
            asked,
            workspace,
            Overrides(),
            watcher or nights.Silent(),
            write_report,
            runner=runner,
            parts=SearchParts(next_step=nights.hasty()),
        )
    return workspace


def test_a_night_sends_notices_of_its_begin_its_first_keep_and_its_end(tmp_path: Path, receiver: Receiver) -> None:
    workspace = night(tmp_path, study(tmp_path, receiver.url))
    assert receiver.titles == [
        "simulated: a session began",
        "simulated: first KEEP",
        "simulated: ended, 2 changes kept",
    ]
    end = receiver.got[-1]["message"].splitlines()
    session = load_record(workspace, None).session
    assert end[0] == session.finish_reason
    assert end[1] == f"session {session.id}"
    assert end[2] == "2 kept of 2 decisions"
    assert [line.split(",")[0] for line in end[3:5]] == ["KEEP learning_rate 0.0001 -> 0.0004", "KEEP beta 0.1 -> 0.2"]
    assert end[-1].startswith(f"nightlane report {session.id}")


def test_a_notice_has_ten_lines_at_most_and_fits_a_phone(tmp_path: Path) -> None:
    workspace = night(tmp_path, study(tmp_path))
    record = load_record(workspace, None)
    keeps = [row for row in record.decisions if row.status == "KEEP"] * 9
    crowded = replace(
        record,
        decisions=tuple(
            replace(row, id=f"{row.id}-{number}", row={**row.row, "before": "x" * 300})
            for number, row in enumerate(keeps)
        ),
        proposals={f"{row.id}-{number}": record.proposals[row.id] for number, row in enumerate(keeps)},
        session=replace(record.session, finish_reason="y" * 3000),
    )
    [notice] = due(crowded)
    lines = notice.text.splitlines()
    assert len(lines) <= 10
    assert max(map(len, (*lines, notice.title))) <= 72
    assert "and 15 more" in lines


def test_money_disk_and_an_unfit_judge_have_notices(tmp_path: Path) -> None:
    record = load_record(night(tmp_path, study(tmp_path)), None)
    running = replace(record, session=replace(record.session, finished=None, finish_reason=None))

    def kinds(**changes: object) -> set[str]:
        return {notice.kind for notice in due(replace(running, **changes))}  # type: ignore[arg-type]

    assert kinds() == {"began", "first_keep"}
    priced = record.budget.model_copy(update={"dollars": 10.0, "disk_gb": 5.0})
    assert "money" not in kinds(budget=priced, spent=replace(record.spent, dollars=8.9, free_gb=10.1))
    found = kinds(budget=priced, spent=replace(record.spent, dollars=9.0, free_gb=9.9))
    assert {"money", "disk"} <= found
    unfit = ExaminationRow(session=record.session.id, turn=3, time="", passed=False, data={})
    assert "judge_unfit" in kinds(examinations=(unfit,))
    assert "judge_unfit" in {notice.kind for notice in due(replace(record, examinations=(unfit,)))}


def test_an_address_that_cannot_be_reached_is_noted_once_and_the_night_goes_on(
    tmp_path: Path, receiver: Receiver
) -> None:
    said: list[str] = []
    dead = "json://user:hunter22hunter22@127.0.0.1:9/tok3n"
    workspace = night(tmp_path, study(tmp_path, dead, receiver.url), said)
    assert load_record(workspace, None).session.finished
    assert len(receiver.got) == 3, "the other address gets every notice"
    log = (workspace.runs / "progress.log").read_text(encoding="utf-8")
    [line] = [line for line in said if line.startswith("NOTIFY")]
    assert line.startswith("NOTIFY address 1 (json://...) did not take the notice 'simulated: a session began'")
    assert log.count("NOTIFY") == 1
    assert "hunter22" not in line + log
    assert "tok3n" not in line + log


@pytest.mark.long
def test_a_session_that_is_stopped_says_so_and_a_resumed_one_repeats_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    asked = study(tmp_path, receiver.url)
    with pytest.raises(KeyboardInterrupt):
        night(tmp_path, asked, watcher=nights.Silent(stop_at=3), world=None)
    assert receiver.titles == ["simulated: a session began", "simulated: the session stopped"]
    assert receiver.got[-1]["message"].splitlines()[0] == "stopped by Ctrl-C"
    assert receiver.got[-1]["message"].splitlines()[-1].startswith("nightlane resume ")
    workspace = Workspace(tmp_path / "workspace")
    Watchdog(workspace, print).look()
    assert len(receiver.got) == 2, "the watchdog does not repeat what the session said itself"
    with notifying(asked.name, asked.file.notify, workspace, print):
        resume(workspace, None, Overrides(), nights.Silent(), write_report)
    assert receiver.titles[2:] == [title for title in receiver.titles[2:] if "began" not in title]
    assert receiver.titles[-1].startswith("simulated: ended")


def test_a_session_that_never_began_says_why(tmp_path: Path, receiver: Receiver) -> None:
    asked = study(tmp_path, receiver.url)
    with pytest.raises(BadInput), notifying(asked.name, asked.file.notify, Workspace(tmp_path / "work"), print):
        raise BadInput("the judge is away")
    assert receiver.titles == ["simulated: no session began"]
    assert receiver.got[0]["message"] == "the judge is away"


@pytest.mark.long
@pytest.mark.slow
def test_the_watchdog_sends_one_notice_of_a_session_that_was_killed(tmp_path: Path, receiver: Receiver) -> None:
    text = simulated_study.STUDY.replace('kind = "simulated"', 'kind = "simulated"\nsimulated_seconds = 0.2')
    path = simulated_study.write_study(tmp_path / "study", f"{text}[notify]\nurls = ['${{WHERE}}']\n")
    work = tmp_path / "work"
    process = Command("run", path, "--workspace", work, WHERE=receiver.url)
    end = time.monotonic() + LONGEST / 10
    while "simulated: a session began" not in receiver.titles and time.monotonic() < end:
        time.sleep(0.05)
    look = ("watch", "--notify", "--once", "--workspace", work)
    assert nightlane(*look, WHERE=receiver.url).stderr == "", "it is alive"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "died; its notice is sent" in nightlane(*look, WHERE=receiver.url).stderr
    nightlane(*look, WHERE=receiver.url)
    assert receiver.titles == ["simulated: a session began", "simulated: the session died"]
    assert "no decision is lost" in receiver.got[-1]["message"]
    refused = nightlane("resume", "--workspace", work)
    assert refused.returncode == 2
    assert "the environment has no WHERE; set it" in refused.stderr


def test_a_watchdog_without_addresses_is_refused_with_the_remedy(tmp_path: Path) -> None:
    workspace = night(tmp_path, study(tmp_path))
    with pytest.raises(BadInput, match="has none; write urls under \\[notify\\]"):
        Watchdog(workspace, print).look()


def test_secrets_come_from_the_environment() -> None:
    settings = NotifySettings(urls=("mailto://me:${MAIL_PASSWORD}@host", "${WHERE}"))
    found = addresses(settings, {"MAIL_PASSWORD": "pw", "WHERE": "json://there"})
    assert found == ("mailto://me:pw@host", "json://there")
    with pytest.raises(BadInput, match=r"name \${WHERE} and the environment has no WHERE; set it"):
        addresses(settings, {"MAIL_PASSWORD": "pw"})


def test_what_apprise_does_not_know_is_refused_without_showing_it() -> None:
    with pytest.raises(BadInput, match=r"apprise does not recognise address 1 \(nonsense://\.\.\.\)") as refused:
        Sender(["nonsense://s3cret"], print)
    assert "s3cret" not in str(refused.value)


def test_without_apprise_the_night_is_refused_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_dependencies, "find_spec", lambda module: None)
    with pytest.raises(MissingRequirement, match=r"pip install 'nightlane\[notify\]'"):
        Sender(["json://there"], print)


def test_check_refuses_addresses_that_cannot_be_used(tmp_path: Path) -> None:
    path = simulated_study.write_study(tmp_path, f"{simulated_study.STUDY}[notify]\nurls = ['nonsense://${{WHERE}}']\n")
    done = nightlane("check", path, "--offline", "--workspace", tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "nightlane: [notify] urls name ${WHERE} and the environment has no WHERE; set it, or take it out\n",
    )
    done = nightlane("check", path, "--offline", "--workspace", tmp_path, WHERE="s3cret")
    assert done.returncode == 2
    assert "apprise does not recognise address 1 (nonsense://...)" in done.stderr


def test_an_address_that_recovers_may_be_in_trouble_again(receiver: Receiver) -> None:
    said: list[str] = []
    sender, notice = Sender([receiver.url], said.append), Notice("began", "title", "text")
    receiver.status = 500
    assert not sender.send(notice)
    assert not sender.send(notice)
    receiver.status = 200
    assert sender.send(notice)
    receiver.status = 500
    assert not sender.send(notice)
    assert len(said) == 2
