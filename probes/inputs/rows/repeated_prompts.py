"""Removes the prompt from plain answers that begin with it.

In a dialogue that is one text, the answer follows the prompt. But a function is a whole answer although it begins with
the header in the prompt, and an answer to "Hi" may begin with "His". Only a dialogue that ends with the assistant's
name is unambiguous. For any other prompt, ``[data] prompt_in_answers`` decides.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from common.errors import BadInput

PromptInAnswers = Literal["remove", "keep"]
SETTING = 'set prompt_in_answers = "remove" or "keep" under [data]'
OPTION = "give --prompt-in-answers remove, or keep"
_ENDS_WITH_A_SPEAKER = re.compile(
    r"(?:^|\n)[#* ]*(?:assistant|ai|bot|chatbot|gpt|model|answer|response|a)[* ]*:[* ]*\s*$", re.IGNORECASE
)
_SHOWN = 60


def setting_of(text: str | None) -> PromptInAnswers | None:
    """The value of the option; BadInput for an unknown one."""
    match text:
        case None | "remove" | "keep":
            return text
    raise BadInput(f"--prompt-in-answers {text!r} is not known; use remove or keep")


def removes_prompts(
    place_of: str,
    entries: Iterable[tuple[int, Mapping[str, Any] | BadInput]],
    sides: Sequence[str],
    setting: PromptInAnswers | None,
    remedy: str = SETTING,
) -> bool:
    """Whether the answers of a file lose the prompts that they begin with.

    Without a setting, they do if the answers of every row of plain texts begin with a dialogue that ends with the
    assistant's name. BadInput if only some do, or if a prompt is no such dialogue. ``place_of``: "rows.jsonl, line".
    """
    if setting is not None:
        return setting == "remove"
    first: tuple[int, list[str]] | None = None
    rows, repeating, dialogues = 0, 0, True
    for place, record in entries:
        texts = [] if isinstance(record, BadInput) else _plain_texts(record, sides)
        if not texts:
            continue
        rows += 1
        prompt, *answers = texts
        if all(_end_of_prompt(prompt, answer) for answer in answers):
            repeating += 1
            first = first or (place, texts)
            dialogues = dialogues and _ENDS_WITH_A_SPEAKER.search(prompt) is not None
    if first is None or (dialogues and repeating == rows):
        return first is not None
    place, (prompt, answer, *_) = first
    removed = answer[_end_of_prompt(prompt, answer) :]
    begin = f"{sides[0]} begins" if len(sides) == 1 else "both answers begin"
    raise BadInput(
        f"{place_of} {place}: {begin} with the whole prompt (so in {repeating} of {rows} rows of plain texts), and "
        f"whether the answer is what follows it is not guessed; without the prompt, {sides[0]} is {_shown(removed)}, "
        f"and with it {_shown(answer)}; {remedy}"
    )


def repeats_prompt(record: Mapping[str, Any], sides: Sequence[str]) -> bool:
    """Whether all sides of a row are plain texts that begin with the whole prompt."""
    prompt, *answers = _plain_texts(record, sides) or [""]
    return bool(answers) and all(_end_of_prompt(prompt, answer) for answer in answers)


def without_prompt(prompt: str, answers: Mapping[str, str]) -> dict[str, str]:
    """The answers without the prompt that they begin with. BadInput if only one does, or if one holds nothing else."""
    ends = {name: end for name, text in answers.items() if (end := _end_of_prompt(prompt, text))}
    if not ends:
        return dict(answers)
    if len(ends) < len(answers):
        other = next(name for name in answers if name not in ends)
        raise BadInput(
            f"{next(iter(ends))} begins with the whole prompt, which is taken off the answers, and {other} does not; "
            "write both with the prompt or both without"
        )
    ended = next((name for name, end in ends.items() if not answers[name][end:].strip()), None)
    if ended is not None:
        begin = f"{' and '.join(ends)} {'begin' if len(ends) > 1 else 'begins'} with the whole prompt"
        raise BadInput(f"{begin}, and {ended} ends where it does and holds no answer; write the answers alone")
    return {name: answers[name][end:] for name, end in ends.items()}


def _plain_texts(record: Mapping[str, Any], sides: Sequence[str]) -> list[str]:
    """The prompt and the answers; empty if one of them is no text, or blank."""
    texts = [record.get(name) for name in ("prompt", *sides)]
    return [str(text) for text in texts] if all(isinstance(text, str) and text.strip() for text in texts) else []


def _end_of_prompt(prompt: str, answer: str) -> int:
    """Where the prompt ends in an answer that begins with it, white space around it aside; 0 if it does not."""
    if answer.startswith(prompt):
        return len(prompt)
    asked, begin = prompt.strip(), len(answer) - len(answer.lstrip())
    return begin + len(asked) if asked and answer.startswith(asked, begin) else 0


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
