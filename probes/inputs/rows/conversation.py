"""Checks conversations for training: where the prompt ends, and which roles an answer may have."""

from collections.abc import Mapping

from common.errors import BadInput
from probes.inputs.rows.messages import ROLES
from probes.inputs.rows.turns import Turn, Turns

Conversation = tuple[Turn, ...]
Parts = tuple[Conversation, tuple[Conversation, ...]]
_LEADING = ("system", "developer")


def split_at_prompt(prompt: Conversation, sides: Mapping[str, Conversation]) -> Parts:
    """The prompt, and each side as an answer. A side that is a whole conversation loses its beginning.

    If both sides share more turns than the prompt, up to another turn of the user, these become part of the prompt:
    a user's turn is never part of an answer.
    """
    for name, turns in (("prompt", prompt), *sides.items()):
        _require_roles(name, turns)
    whole = {name: side for name, side in sides.items() if side[0].role != "assistant"}
    begun = {name: _beginning(name, prompt, side) for name, side in whole.items()}
    if len(set(begun.values())) > 1:
        raise BadInput(
            f"{' and '.join(begun)} begin differently, and they are answers to one prompt; give them one beginning"
        )
    rests = {name: side[len(begun.get(name, ())) :] for name, side in sides.items()}
    prompt = next((_longer(prompt, beginning) for beginning in begun.values()), prompt)
    if len(whole) == len(sides) > 1 and any(turn.role == "user" for rest in rests.values() for turn in rest):
        more, answers = _common(tuple(rests.values()))
        return prompt + more, answers
    return prompt, tuple(rests.values())


def split_at_common_beginning(sides: Mapping[str, Conversation]) -> Parts:
    """The common beginning of whole conversations up to an assistant's turn, which is the prompt, and the rests."""
    for name, turns in sides.items():
        _require_roles(name, turns)
    prompt, answers = _common(tuple(sides.values()))
    if not prompt:
        raise BadInput(
            f"it has no column 'prompt', and {' and '.join(sides)} have no common beginning before an assistant's "
            "turn; write prompt and the answers"
        )
    return prompt, answers


def with_system(system: Conversation, prompt: Turns) -> Turns:
    """The prompt with this system turn first; BadInput if it has another one."""
    if not system or isinstance(prompt, str) or prompt[:1] == system:
        return prompt
    if prompt[0].role in _LEADING:
        raise BadInput("it has a column 'system' and another system turn in its conversation; keep one of them")
    return system + prompt


def require_prompt(turns: Conversation) -> None:
    """BadInput for a prompt after which the assistant would not speak next."""
    _require_roles("prompt", turns)
    if turns[-1].role == "assistant":
        raise BadInput(
            "the prompt ends with the assistant's turn, and an answer is a turn of its own; move that turn into the "
            "answers, or end the prompt before it"
        )
    if turns[-1].role not in ("user", "tool"):
        raise BadInput(f"the prompt ends with the {turns[-1].role}'s turn; end it with the user's or a tool's")
    if turns[0].role in ("assistant", "tool"):
        raise BadInput(
            f"the prompt begins with the {turns[0].role}'s turn; begin it with a system's or the user's, or leave the "
            "row out"
        )
    late = next((turn.role for turn in turns[leading(turns) :] if turn.role in _LEADING), None)
    if late is not None:
        raise BadInput(
            f"the prompt has a {late}'s turn after another speaker's; put it first, or write its text into the user's "
            "turn"
        )
    _require_contents("prompt", turns)


def require_answer(name: str, turns: Conversation) -> None:
    """BadInput for an answer with a turn of another role than assistant and tool."""
    if not turns:
        raise BadInput(f"{name} ends where the prompt does and holds no answer; add the assistant's turn")
    _require_roles(name, turns)
    if turns[0].role != "assistant":
        raise BadInput(f"{name} begins with the {turns[0].role}'s turn; an answer begins with the assistant's")
    odd = next((turn for turn in turns if turn.role not in ("assistant", "tool")), None)
    if odd is not None:
        raise BadInput(
            f"{name} has the {odd.role}'s turn after the assistant's, and it would be trained on; end the answer "
            "before it, or move what stands before it into the prompt"
        )
    _require_contents(name, turns)


def _beginning(name: str, prompt: Conversation, side: Conversation) -> Conversation:
    """The part of a whole conversation that is the prompt; only one of the two may have the system turns."""
    ours, theirs = leading(prompt), leading(side)
    body, end = prompt[ours:], theirs + len(prompt) - ours
    same_lead = not ours or not theirs or _bare(prompt[:ours]) == _bare(side[:theirs])
    if not body or not same_lead or _bare(body) != _bare(side[theirs:end]):
        raise BadInput(
            f"{name} begins with the {side[0].role}'s turn, and not with the turns of the prompt; give the answer "
            "alone, from the assistant's turn on, or the conversation from its beginning"
        )
    return side[:end]


def leading(turns: Conversation) -> int:
    """The number of system and developer turns at the beginning."""
    return next((place for place, turn in enumerate(turns) if turn.role not in _LEADING), len(turns))


def _longer(prompt: Conversation, beginning: Conversation) -> Conversation:
    return beginning if len(beginning) > len(prompt) else prompt


def _common(sides: tuple[Conversation, ...]) -> Parts:
    """The longest common beginning after which every side has an assistant's turn, and the rests."""
    end = 0
    for turns in zip(*sides, strict=False):
        if any(turn != turns[0] for turn in turns):
            break
        end += 1
    while end and not _ends_well(sides, end):
        end -= 1
    return sides[0][:end], tuple(side[end:] for side in sides)


def _ends_well(sides: tuple[Conversation, ...], end: int) -> bool:
    speaks = all(len(side) > end and side[end].role == "assistant" for side in sides)
    return speaks and sides[0][end - 1].role != "assistant"


def _require_roles(name: str, turns: Conversation) -> None:
    odd = next((turn.role for turn in turns if turn.role not in ROLES), None)
    if odd is not None:
        raise BadInput(f"it has a turn with role={odd!r} in {name!r}; use one of {', '.join(ROLES)}")
    if any("tool_calls" in turn.message for turn in turns if turn.role != "assistant"):
        raise BadInput(f"it has tool_calls outside of an assistant's turn in {name!r}; only the assistant calls tools")


def _require_contents(name: str, turns: Conversation) -> None:
    """BadInput for an empty turn of the user, or of the assistant unless it calls tools."""
    for turn in turns:
        silent = not turn.content.strip() and "tool_calls" not in turn.message
        if silent and turn.role in ("user", "assistant"):
            raise BadInput(f"it has an empty turn of the {turn.role} in {name!r}; write its text, or leave the row out")


def _bare(turns: Conversation) -> list[Turn]:
    return [turn._replace(content=turn.content.strip()) for turn in turns]
