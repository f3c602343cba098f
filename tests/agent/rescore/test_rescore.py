"""Answers of a night are scored by another scorer, and its confirmations decided again; nothing else is written."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from nights import cutting

from agent.ledger.store import Ledger
from agent.rescore.replacement_scorer import ReplacementScorer, read_replacement_scorer
from agent.rescore.session import Rescored, rescore
from agent.workspace.folder import Workspace
from common.errors import BadInput
from probes.scoring import AnswerPair, Context
from probes.scoring.function import FunctionScorer, FunctionSettings
from view.terminal.rescored import rescored_text

SAME = "def score(prompt, answer, category, checks):\n    return float(answer.split()[-1])\n"
OPPOSITE = "def score(prompt, answer, category, checks):\n    return 10 - float(answer.split()[-1])\n"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return cutting(tmp_path_factory.mktemp("night"))


def by(night: Workspace, folder: Path, function: str, name: str = "own") -> Rescored:
    (folder / f"{name}.py").write_text(function, encoding="utf-8")
    path = folder / f"{name}.toml"
    path.write_text(f'[scorer]\nkind = "function"\nfunction = "{name}.py:score"\n', encoding="utf-8")
    return rescore(night, None, read_replacement_scorer(path), lambda text: None)


def content(night: Workspace) -> dict[str, bytes]:
    """Of every file but the new ones, and those of SQLite beside the ledger."""
    files = (path for path in night.root.rglob("*") if path.is_file())
    kept = (path for path in files if "rescore-" not in str(path) and path.suffix not in (".sqlite-shm", ".sqlite-wal"))
    return {str(path): path.read_bytes() for path in kept}


def test_the_same_scores_give_the_same_decisions_and_change_no_file(night: Workspace, tmp_path: Path) -> None:
    before = content(night)
    found = by(night, tmp_path, SAME)
    assert found.stacks
    assert all(one.old == one.new for one in found.stacks)
    assert "KEEP" in {one.decided for one in found.stacks}
    assert [one.decided for one in found.stacks if not one.is_aa_test] == [
        one.new.status for one in found.stacks if one.new and not one.is_aa_test
    ]
    assert all(old == pytest.approx(new) for old, new in found.means.values())
    assert content(night) == before


def test_opposite_scores_keep_nothing_that_the_night_kept(night: Workspace, tmp_path: Path) -> None:
    found = by(night, tmp_path, OPPOSITE)
    kept = [one for one in found.stacks if one.decided == "KEEP"]
    for one in kept:
        assert one.old is not None
        assert one.new is not None
        assert (one.old.status, one.new.status) == ("KEEP", "DISCARD")
        assert one.new.delta == pytest.approx(-one.old.delta, abs=1e-3)
    text = rescored_text(found)
    assert "the new scorer keeps 0" in text
    assert f"Decided differently by the new scores: stack {kept[0].number}" in text


class Choosing(FunctionSettings):
    @property
    def chooses(self) -> bool:
        return True


@dataclass
class Chooses:
    """Prefers the answer with the higher score, or the lower one."""

    sign: int
    asked: int = 0

    def prefer(self, duels: Sequence[AnswerPair], context: Context) -> list[float]:
        self.asked += len(duels)
        scores = [(float(one.first.split()[-1]), float(one.second.split()[-1])) for one in duels]
        return [self.sign * ((mine > theirs) - (mine < theirs)) for mine, theirs in scores]

    def close(self) -> None:
        """Nothing is open."""


def test_a_scorer_that_chooses_compares_both_answers_once(
    night: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(sign: int, name: str) -> tuple[Rescored, int]:
        (tmp_path / f"{name}.py").write_text(SAME, encoding="utf-8")
        new = ReplacementScorer(Choosing(kind="function", function=f"{name}.py:score"), tmp_path)
        examiner = Chooses(sign)
        monkeypatch.setattr(FunctionScorer, "examiner", staticmethod(lambda *_: examiner))
        return rescore(night, None, new, lambda text: None), examiner.asked

    better, asked = chosen(1, "better")
    worse, _ = chosen(-1, "worse")
    assert asked > 0
    assert chosen(1, "better") == (better, 0)
    kept = [place for place, one in enumerate(better.stacks) if one.decided == "KEEP"]
    assert kept
    for place in kept:
        one, other = better.stacks[place].new, worse.stacks[place].new
        assert one is not None
        assert other is not None
        assert 0 < one.delta <= 10
        assert one.status != "DISCARD"
        assert other.status == "DISCARD"
        if one.pairs == other.pairs:
            assert other.delta == pytest.approx(-one.delta)
    assert better.means == {}


def test_what_was_scored_is_not_scored_again(night: Workspace, tmp_path: Path) -> None:
    first = by(night, tmp_path, SAME, "once")
    readings = sorted(Path(first.folder).glob("probe-*.json"))
    assert len(readings) == first.probes
    times = [path.stat().st_mtime_ns for path in readings]
    assert by(night, tmp_path, SAME, "once") == first
    assert [path.stat().st_mtime_ns for path in readings] == times
    assert json.loads((Path(first.folder) / "rescore.json").read_text())["session"] == first.session


@pytest.fixture
def without_answers(night: Workspace) -> Iterator[str]:
    with Ledger(night.ledger, read_only=True) as ledger:
        session = ledger.session()
        assert session is not None
        decision = next(one for one in ledger.decisions() if one.basis and one.basis.stack)
        assert decision.basis is not None
        assert decision.basis.stack is not None
        seed = decision.basis.stack.seeds[0][0]
        rows = ledger.probes_under(session.key, [seed])
        probe = next(row.id for row in rows if row.recipe == decision.basis.stack.recipe)
    path = night.runs / f"probe-{probe}" / "answers.jsonl"
    kept = path.read_bytes()
    path.unlink()
    yield probe
    path.write_bytes(kept)


def test_a_stack_whose_answers_are_gone_is_left_out_and_the_probe_is_named(
    night: Workspace, tmp_path: Path, without_answers: str
) -> None:
    found = by(night, tmp_path, SAME + "# another digest\n", "gone")
    left_out = [one for one in found.stacks if one.new is None]
    assert [one.left_out for one in left_out] == [f"the answers of probe {without_answers} are gone"]
    assert f"Stack {left_out[0].number} is left out: the answers of probe {without_answers}" in rescored_text(found)


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("kind = 'rules'\n", r"has no table \[scorer\]"),
        ("[scorer]\nkind = 'ruler'\n", "did you mean 'rules'"),
        ("[scorer]\nkind = 'function'\nfunction = 'a.py:f'\nspeed = 1\n", "has no key 'speed'"),
        ("[scorer\n", "is not TOML"),
    ],
)
def test_a_wrong_file_of_a_scorer_is_refused_in_one_sentence(tmp_path: Path, text: str, law: str) -> None:
    path = tmp_path / "new.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=law):
        read_replacement_scorer(path)


def test_a_session_that_is_not_there_is_refused(night: Workspace, tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(SAME)
    (tmp_path / "new.toml").write_text('[scorer]\nkind = "function"\nfunction = "s.py:score"\n')
    with pytest.raises(BadInput, match="there is no session 'nowhere'"):
        rescore(night, "nowhere", read_replacement_scorer(tmp_path / "new.toml"), lambda text: None)
