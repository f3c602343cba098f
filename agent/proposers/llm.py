"""The proposer that asks a language model. agent/proposers/prompt.py writes the prompt, reply.py reads the reply.

After a reply that cannot be used, the model is told what is wrong with it and asked once more. If that fails too, or
the endpoint gives no reply, the wave's design chooses instead. All requests of a turn share one timeout.
"""

import os
import time
from collections.abc import Callable, Mapping

from agent.proposers.prompt import conversation, response_format
from agent.proposers.protocol import Declined, Situation, Suggestion
from agent.proposers.reply import RefusedReply, chosen_move, read_reply
from agent.study.schema import ProposerSettings
from probes.endpoint.client import Completion, Endpoint, EndpointSettings
from probes.endpoint.no_reply import NoReply
from probes.endpoint.spending import NO_USAGE, Usage
from probes.endpoint.trial import Trial, try_chat

ATTEMPTS = 2
TEMPERATURE = 0.7
MOST_QUOTED = 2000
"""Most characters of a refused reply that are sent back to the model."""


class LanguageModelProposer:
    """Asks a chat completion endpoint. ``note``: writes a line to the log for every reply that cannot be used."""

    name = "language_model"

    def __init__(
        self,
        settings: ProposerSettings,
        model: str,
        note: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.settings, self.model, self.note = settings, model, note
        endpoint_settings = EndpointSettings(
            timeout=settings.timeout,
            late_remedy="raise timeout under [proposer]",
            max_tokens=settings.max_tokens,
            temperature=TEMPERATURE,
            dollars_per_million_input=settings.dollars_per_million_input,
            dollars_per_million_output=settings.dollars_per_million_output,
            remedy=', or set kind = "optuna" under [proposer]',
        )
        self._endpoint = Endpoint(endpoint_settings, model, os.environ if environment is None else environment)

    def check(self) -> None:
        """EndpointUnavailable when the endpoint does not answer, refuses the key or does not serve the model."""
        self._endpoint.check()

    def try_once(self, situation: Situation) -> Trial:
        """Ask for one proposal; returns whether it could be used."""

        def problem_of(completion: Completion) -> str:
            try:
                self._suggestion(completion, situation, NO_USAGE)
            except RefusedReply as refused:
                return str(refused)
            return ""

        messages = conversation(situation)
        return try_chat("proposer", self._endpoint, messages, response_format(situation), problem_of)

    def propose(self, situation: Situation) -> Suggestion | Declined:
        messages, end = conversation(situation), time.monotonic() + self.settings.timeout
        used, why = NO_USAGE, ""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                left = end - time.monotonic()
                completion = self._endpoint.ask(messages, response_format(situation), seconds=left, note=self.note)
            except NoReply as error:
                self.note(f"the language model gave no reply ({error}); the wave is made without it")
                return _declined(used, f"no reply: {error}")
            used += completion.usage
            try:
                return self._suggestion(completion, situation, used)
            except RefusedReply as refused:
                why = f"{ATTEMPTS} replies refused, the last: {refused}"
                then = "asking again" if attempt < ATTEMPTS else "the wave is made without it"
                self.note(f"reply {attempt} of {ATTEMPTS} refused: {refused}; {then}")
                messages += _correction(completion.text, str(refused))
        return _declined(used, why)

    def _suggestion(self, completion: Completion, situation: Situation, used: Usage) -> Suggestion:
        if completion.cut_off:
            limit = self.settings.max_tokens
            raise RefusedReply(f"it was cut off at max_tokens={limit} (raise it under [proposer]); answer more briefly")
        reply = read_reply(completion.text)
        move = chosen_move(reply, situation.moves)
        return Suggestion(
            knob=reply.move.knob,
            value=move,
            hypothesis=reply.hypothesis,
            predicted=reply.predicted_delta,
            proposer=self.name,
            dollars=used.dollars,
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
        )


def _declined(used: Usage, why: str) -> Declined:
    return Declined(used.dollars, why, used.prompt_tokens, used.completion_tokens)


def _correction(text: str, refused: str) -> list[dict[str, str]]:
    """The refused reply, shortened, and what is wrong with it."""
    request = f"That cannot be used: {refused}. Reply with one JSON object as asked."
    return [{"role": "assistant", "content": text[:MOST_QUOTED] or "(empty)"}, {"role": "user", "content": request}]
