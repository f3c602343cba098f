"""The prompts of a study: three disjoint splits, each prompt with a category and what its scorer needs."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import Any

from common.errors import BadInput
from probes.inputs.duplicates import Wordings
from probes.inputs.files.records import at, records, unit_of
from probes.inputs.rows.columns import require_no_other_meaning
from probes.inputs.rows.conversation import Conversation, require_prompt, with_system
from probes.inputs.rows.messages import turns_of
from probes.inputs.rows.texts import difficulty_of, require_nothing_more, system_of
from probes.inputs.rows.turns import Turn, Turns, plain

SPLITS = ("probe", "harvest", "holdout")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt. People and judges read ``text``; the model gets ``turns``, or the text if there are none.

    ``checks`` belongs to the scorer: for execution, it is the entry point and its cases. No proposer sees it. ``line``
    is the line or row in the file.
    """

    id: str
    split: str
    category: str
    difficulty: int
    text: str
    checks: dict[str, Any] = field(hash=False)
    turns: Conversation = ()
    line: int = field(default=0, compare=False)

    @property
    def asked(self) -> Turns:
        """The input of the model."""
        return self.turns or self.text

    @property
    def wording(self) -> str:
        """The text by which prompts are compared."""
        return wording(self.asked)


def wording(asked: Turns) -> str:
    """The text, or the contents of the turns; without system turns, which many prompts share."""
    return asked if isinstance(asked, str) else plain(tuple(turn for turn in asked if turn.role not in BACKGROUND))


BACKGROUND = ("system", "developer")


def load_prompts(path: Path) -> tuple[Prompt, ...]:
    """All prompts of a file; BadInput names the line of an invalid one."""
    prompts: list[Prompt] = []
    first_use: dict[str, Prompt] = {}
    ids: set[str] = set()
    unit = unit_of(path)
    for line, row in records(path):
        try:
            if isinstance(row, BadInput):
                raise row
            prompt = replace(_prompt(row), line=line)
            if prompt.id in ids:
                raise BadInput(f"the id {prompt.id!r} is used twice; ids must be unique")
            earlier = first_use.setdefault(prompt.wording.strip(), prompt)
            if earlier.split != prompt.split:
                raise BadInput(
                    f"splits must be disjoint and this prompt is in {earlier.split} (id {earlier.id}) and in "
                    f"{prompt.split}; keep it in one of them"
                )
        except BadInput as error:
            raise BadInput(at(f"{path}, {unit} {line}", str(error))) from None
        ids.add(prompt.id)
        prompts.append(prompt)
    if not any(prompt.split == "probe" for prompt in prompts):
        raise BadInput(f'{path} has no prompt with "split": "probe", so nothing could be decided; add some')
    return _of_one_form(prompts)


def _of_one_form(prompts: Collection[Prompt]) -> tuple[Prompt, ...]:
    """The prompts, all with turns if one of them has turns, so that the pairs of a harvest have one form."""
    if not any(prompt.turns for prompt in prompts):
        return tuple(prompts)
    return tuple(prompt if prompt.turns else replace(prompt, turns=(Turn("user", prompt.text),)) for prompt in prompts)


def check_categories(path: Path, prompts: Collection[Prompt], wanted: Collection[str]) -> None:
    """Refuse a target or guard category that has no probe prompts, or only one."""
    measured = Counter(prompt.category for prompt in prompts if prompt.split == "probe")
    for category in wanted:
        if measured[category] == 1:
            raise BadInput(
                f"{path} has one probe prompt in the category {category!r}, and one prompt gives no "
                "interval; add more, 20 say"
            )
        if category != "overall" and category not in measured:
            raise BadInput(
                f"{path} has no probe prompt in the category {category!r}, which the study targets or guards; "
                f"add prompts for it or take it out (measured: {', '.join(sorted(measured))})"
            )


def check_splits(path: Path, prompts: Collection[Prompt]) -> None:
    """Refuse a prompt that is in two splits in nearly the same words (invariant 7; see probes/inputs/duplicates.py)."""
    for earlier, later in permutations(SPLITS, 2):
        known = Wordings((prompt.wording, prompt) for prompt in prompts if prompt.split == earlier)
        for prompt in prompts:
            near = known.near(prompt.wording) if prompt.split == later else None
            if near is not None:
                raise BadInput(
                    f"{path}: splits must be disjoint and {prompt.split} prompt {prompt.id!r} is {near[1]:.2f} similar "
                    f"to {near[0].split} prompt {near[0].id!r} (1: equal except for case, spaces and punctuation, or "
                    "one contains the other); keep one of them, or make them two tasks"
                )


def _prompt(row: Mapping[str, Any]) -> Prompt:
    for column in ("id", "split", "category"):
        if not isinstance(row.get(column), str) or not row[column]:
            raise BadInput(f"it has no text in {column!r}; every prompt row needs one")
    if row["category"] == "overall":
        raise BadInput("the category 'overall' is the mean of all categories; give this one another name")
    if row["split"] not in SPLITS:
        raise BadInput(f"it has split={row['split']!r}; use one of {', '.join(SPLITS)}")
    checks = {} if row.get("checks") is None else row["checks"]
    if not isinstance(checks, dict):
        raise BadInput(f"it has checks={checks!r}; checks are an object")
    asked = _asked(row)
    if isinstance(asked, str):
        return Prompt(row["id"], row["split"], row["category"], difficulty_of(row), asked, checks)
    require_prompt(asked)
    return Prompt(row["id"], row["split"], row["category"], difficulty_of(row), text_for_people(asked), checks, asked)


def _asked(row: Mapping[str, Any]) -> Turns:
    if row.get("tools"):
        raise BadInput("it has tools, and no prompt is asked with tools; take the column out")
    require_no_other_meaning(row)
    asked, system = turns_of("prompt", row.get("prompt")), system_of(row)
    if not asked:
        raise BadInput("it has no text in 'prompt'; every prompt row needs one")
    asked = with_system(system, (Turn("user", asked),) if system and isinstance(asked, str) else asked)
    require_nothing_more(row, asked)
    return asked


def text_for_people(turns: Conversation) -> str:
    """The text for people: the content of one turn, or all turns with their roles."""
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}{turn.more}" for turn in turns)
