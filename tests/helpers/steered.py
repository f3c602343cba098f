"""A session that was paused, with a request that it has not taken yet."""

from agent.ledger.requests import RequestAnswer
from agent.ledger.store import Ledger
from agent.steering import requests
from agent.steering.requests import ask
from agent.workspace.folder import Workspace


def paused(workspace: Workspace) -> None:
    """Leave the workspace as after nightlane pause, the session's answer to that, and nightlane note."""
    asked = ask(workspace, "pause")
    with Ledger(workspace.ledger) as ledger:
        answer = RequestAnswer(time=asked.request.time, text="paused; nightlane continue goes on")
        ledger.answer_request(asked.session, asked.request.number, answer, "REQUEST 1 pause: paused")
    ask(workspace, "note", requests.note("mind <b>the</b> guard"))
