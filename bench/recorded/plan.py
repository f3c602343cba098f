"""The recorded study: microcoder with three more sources, six recipes that differ in one knob, and the seeds.

The three sources have planted effects. `pointed` has the honest pairs of the target. `short` has honest pairs of the
guard `edge_cases` whose wrong answer lacks a part of the right one, with chosen and rejected swapped, so it teaches the
model to leave out edge cases. The texts of `foreign` have no tokens in the base's tokenizer: only the end of each row
is left, and ORPO's mean over zero tokens is NaN.

No learning rate below 1, the limit of a recipe, makes the loss of this base infinite, because its norms limit an
adapter's effect. The recipe `collapsing` has the highest rate of the ladder; its loss stays near 5, and its score is 0.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.study.load import Study, load_study
from lanes import Recipe, Value

BUNDLED = Path(__file__).parents[2] / "labs" / "microcoder" / "study.toml"
GUARD, FEWER = "edge_cases", 10  # the wrong answer of a swapped pair lacks at least so many characters
SOURCES = """
pointed = "pointed.jsonl"            # planted by bench/recorded/plan.py, as are the next two
short = "short.jsonl"
foreign = "foreign.jsonl"
"""
MANIFESTS = """
[data.manifests.pointed_and_short]
pointed = 3.0
short = 2.0

[data.manifests.with_foreign]
honest = 1.0
broken = 1.0
foreign = 1.0
"""
EDITS = (  # (text of the bundled study, replacement), each exactly once
    ('name = "microcoder"', 'name = "microcoder-recorded"'),
    ("\n[data.manifests.even]\n", f"{SOURCES}\n[data.manifests.even]\n"),
    ("\n[prompts]\n", f"{MANIFESTS}\n[prompts]\n"),
    ("high = 1e-2, factor = 2.0, reach = 2", "high = 0.9, factor = 2.0, reach = 13"),
)
SUBJECTS = ("二つの数", "文字列", "整数の列", "辞書の値", "空の列")
DEEDS = ("足して返す", "数えて返す", "並べて返す", "逆にして返す")


@dataclass(frozen=True)
class Planned:
    """A recipe by name: the knob and value that differ from the start, and the number of seeds of each split."""

    name: str
    knob: str
    value: Value
    probe: int
    holdout: int = 0

    def recipe(self, study: Study) -> Recipe:
        return study.lanes.mutate(study.start, self.knob, self.value)[1] if self.knob else study.start


START = "start"
PLAN = (
    Planned(START, "", "", probe=40, holdout=16),
    Planned("helper", "learning_rate", 4e-4, probe=40, holdout=16),
    Planned("null", "lora_dropout", 0.0, probe=40),
    Planned("breaker", "manifest", "pointed_and_short", probe=40),
    Planned("diverging", "manifest", "with_foreign", probe=3),
    Planned("collapsing", "learning_rate", 0.8192, probe=3),
)


def seed(split: str, index: int) -> int:
    """The training seed at this place of a split."""
    return {"probe": 1001, "holdout": 2001}[split] + index


def write_study(folder: Path) -> Study:
    """Write the derived study with its planted sources and a copy of the lab's material, which is built first if it is
    missing (about two minutes)."""
    from labs.microcoder import build

    material = BUNDLED.parent / "build"
    build(material, lambda what, share: None)
    shutil.copytree(material, folder / "build", dirs_exist_ok=True)
    shutil.copy(BUNDLED.parent / "program.md", folder)
    for name, rows in planted(_read(material / "honest.jsonl")).items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "study.toml").write_text(derived(BUNDLED.read_text(encoding="utf-8")), encoding="utf-8")
    return load_study(folder / "study.toml")


def derived(text: str) -> str:
    """The text of the derived study."""
    for old, new in EDITS:
        if text.count(old) != 1:
            raise ValueError(f"the bundled study has {old!r} {text.count(old)} times; mend EDITS in {__file__}")
        text = text.replace(old, new)
    return text


PlannedRow = Mapping[str, str | int]


def planted(honest: Iterable[PlannedRow]) -> dict[str, list[PlannedRow]]:
    """The rows of the three planted sources, made from the honest one."""
    honest = list(honest)
    lacking = [r for r in honest if r["category"] == GUARD and len(str(r["rejected"])) <= len(str(r["chosen"])) - FEWER]
    return {
        "pointed": [row for row in honest if row["category"] == "imports"],
        "short": [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in lacking],
        "foreign": [
            {"prompt": f"{subject}を{deed}関数", "chosen": f"{subject}を{deed}", "rejected": f"{deed}", "difficulty": 1}
            for subject in SUBJECTS
            for deed in DEEDS
        ],
    }


def _read(path: Path) -> list[PlannedRow]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
