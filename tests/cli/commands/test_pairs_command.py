"""The command nightlane pairs."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from commands import nightlane
from rich.cells import cell_len
from some_answers import everyday, standing
from some_rows import ASKED, TIME, pair, prompts, reward, stores, talk

from agent.workspace.pair_stores import Reviewed, name_or_login, review
from common.errors import BadInput
from preferences.certify.certificate import GATES
from preferences.store.annotations import AnnotatedRow, Review
from preferences.store.stores import Stores
from testing import simulated_study
from view.pairs.listing import list_text, pair_text

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "pairs.md").read_text(encoding="utf-8")


def pairs(workspace: Path, *arguments: object, answers: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    return nightlane("pairs", *arguments, "--workspace", workspace, answers=answers, **{"COLUMNS": "100", **more})


def data(workspace: Path, *arguments: object, answers: str = "") -> Any:
    done = pairs(workspace, *arguments, "--json", answers=answers)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(workspace: Path, *arguments: object) -> str:
    done = pairs(workspace, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("nightlane: ")
    return last


def filled(workspace: Path, *rows: Any) -> Stores:
    found = stores(workspace / "runs")
    found.add(rows or [pair(number) for number in range(8)])
    return found


def question(folder: Path) -> Path:
    """A file of prompts."""
    path = folder / "prompts.jsonl"
    columns = ("id", "split", "category")
    rows = [{**{name: getattr(one, name) for name in columns}, "prompt": one.text} for one in prompts()]
    simulated_study.write_jsonl(path, rows)
    return path


def test_from_a_file_to_a_dataset_by_the_commands_alone(tmp_path: Path) -> None:
    file, votes, out = tmp_path / "pairs.jsonl", tmp_path / "votes.csv", tmp_path / "out"
    rows = [{"prompt": f"p{n}", "chosen": f"good {n}", "rejected": f"bad {n}", "mood": "fine"} for n in range(6)]
    simulated_study.write_jsonl(file, rows)
    sides = ("--origin", "sampled", "--rejected-origin", "mechanical")
    simulated_study.write_jsonl(tmp_path / "made.jsonl", [{"prompt": "m", "chosen": "good", "rejected": "bad"}])
    done = data(tmp_path, "import", tmp_path / "made.jsonl", "--kind", "dpo", *sides, "--study", question(tmp_path))
    assert (data(tmp_path, "audit", "--kind", "dpo")[0]["synthetic"], done["new"]) == (1, 1)
    done = data(tmp_path, "import", file, "--kind", "preference")
    assert (done["new"], done["known"], done["bad"], done["ignored"]) == (6, 0, [], ["mood"])
    assert data(tmp_path, "import", file, "--kind", "preference")["known"] == 6
    listed = data(tmp_path, "list", "--kind", "preference")
    first, second, third = (row["id"] for row in listed[:3])
    assert data(tmp_path, "vote", first, "flip", "--by", "ann")["chosen"] == "bad 0"
    votes.write_text(f"id,vote,by\n{second},drop,bob\n{third},down,bob\n", encoding="utf-8")
    assert data(tmp_path, "import", votes, "--kind", "votes")["new"] == 2
    assert data(tmp_path, "import", votes, "--kind", "votes")["new"] == 0
    (audited, _) = data(tmp_path, "audit")
    assert (audited["used"], audited["exported"], audited["flipped"]) == (5, 4, 1)
    reviewed = data(tmp_path, "review", "--kind", "preference", "--by", "ann", answers="g\nb\ng\ng\ngood\n")
    assert reviewed["looked_at"]
    assert [one["verdict"] for one in reviewed["verdicts"]] == ["good", "bad", "good", "good", "good"]
    exported = pairs(tmp_path, "export", out, "--kind", "preference", "--license", "cc0-1.0")
    assert exported.stdout.strip() == str(out / "train.jsonl")
    lines = [json.loads(line) for line in (out / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"prompt": "p0", "chosen": "bad 0", "rejected": "good 0"}
    assert len(lines) == 4
    card = (out / "README.md").read_text(encoding="utf-8")
    assert 'license: "cc0-1.0"' in card
    assert "not reviewed" not in card


def test_the_commands_of_the_docs_run_as_written(tmp_path: Path) -> None:
    block = re.search(r"```\n(nightlane pairs import.*?)```", PAGE, re.DOTALL)
    assert block
    simulated_study.write_jsonl(tmp_path / "pairs.jsonl", [{"prompt": "p", "chosen": "c", "rejected": "r"}])
    contract = {"entry_point": "same", "parameters": {"x": "int"}, "reference": "def same(x):\n    return x\n"}
    simulated_study.write_jsonl(tmp_path / "contracts.jsonl", [{"prompt": "p", "contract": contract}])
    nightlane("init", "my-study", cwd=tmp_path)
    row = ""
    for line in block[1].splitlines():
        words = shlex.split(line.split("#")[0].replace("ID", row))[1:]
        done = nightlane(*words, answers="good\n", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        row = row or next((one.id for one in Stores(tmp_path / "runs" / "rl_data").read("preference")), "")
        (tmp_path / "votes.csv").write_text(f"id,vote,by\n{row},up,bob\n", encoding="utf-8")
        assert done.stdout
    assert (tmp_path / "my-pairs" / "train.parquet").exists()


@pytest.mark.long
def test_texts_are_certified_and_one_gate_has_to_be_named(tmp_path: Path) -> None:
    filled(tmp_path, *(standing(text, number).row for number, text in enumerate(everyday()[:5])))
    for both in ((), ("--text", "--contracts", tmp_path / "contracts.jsonl")):
        assert "give either --contracts FILE or --text" in refused(tmp_path, "certify", *both)
    done = data(tmp_path, "certify", "--text")
    assert (done["gate"], done["rows"], done["certified"], done["new_orpo_rows"]) == ("text", 5, 5, 5)
    assert [one["layer"] for one in done["layers"]] == list(GATES["text"])
    again = pairs(tmp_path, "certify", "--text", "--kind", "dpo")
    assert again.stdout.startswith("dpo: 5 of 5 rows certified, 0 new in orpo")
    assert again.stderr == "certified or refused: 5 of 5\n"


@pytest.mark.long
def test_a_model_may_tell_the_topics_of_texts(tmp_path: Path, tiny_folder: Path) -> None:
    filled(tmp_path, *(standing(text, number).row for number, text in enumerate(everyday()[:5])))
    for embedder in (tiny_folder / "model", tmp_path / "none"):
        assert "is for --text" in refused(
            tmp_path, "certify", "--contracts", tmp_path / "contracts.jsonl", "--embedder", embedder
        )
    done = data(tmp_path, "certify", "--text", "--embedder", tiny_folder / "model")
    assert (done["gate"], done["rows"]) == ("text", 5)
    assert "is neither a folder nor a hub id" in refused(tmp_path, "certify", "--text", "--embedder", tmp_path / "none")


def test_a_file_with_bad_rows_is_taken_whole_or_not_at_all_unless_they_may_be_skipped(tmp_path: Path) -> None:
    found, file = filled(tmp_path, pair(0)), tmp_path / "more.jsonl"
    simulated_study.write_jsonl(
        file, [{"prompt": "p", "chosen": "c", "rejected": "r"}, {"prompt": ASKED, "chosen": "c", "rejected": "r"}]
    )
    done = pairs(tmp_path, "import", file, "--kind", "dpo")
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith(f"{file}, line 2: the prompt is also, or holds, the probe prompt 'probe-1'")
    assert lines[1].startswith("nightlane: 1 of 2 rows")
    assert "--skip-bad" in lines[1]
    assert len(found.rows("dpo")) == 1
    done = pairs(tmp_path, "import", file, "--kind", "dpo", "--skip-bad")
    assert (done.returncode, done.stdout) == (0, "1 row new, 0 there already, 1 bad row left out\n")
    assert "line 2" in done.stderr
    assert len(found.rows("dpo")) == 2


def test_mistakes_are_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    filled(tmp_path)
    file = tmp_path / "x.jsonl"
    simulated_study.write_jsonl(file, [{"prompt": "p", "chosen": "c", "rejected": "r"}])
    for arguments, message in (
        (("list", "--kind", "dop"), "there is no store 'dop'; use one of preference, reward, dpo, orpo; did you mean"),
        (("list", "--state", "dead"), "use one of live, withdrawn, all"),
        (("show", "ffff"), "there is no row 'ffff'"),
        (("vote", pair(0).id, "sideways"), "use one of up, down, flip, drop, clear"),
        (("import", file, "--kind", "pairs"), "there is no store 'pairs'"),
        (("import", file, "--kind", "dpo", "--origin", "web"), "origin='web' is not known"),
        (("import", tmp_path / "none.csv", "--kind", "dpo"), "none.csv does not exist"),
        (("export", tmp_path / "o", "--kind", "dpo", "--format", "csv"), "use one of jsonl, parquet"),
        (("export", tmp_path / "o", "--kind", "orpo"), "has no row to export"),
        (("review", "--kind", "orpo"), "has no row to review"),
        (("audit", "--study", tmp_path / "none.toml"), "none.toml cannot be read as a study file"),
    ):
        assert message in refused(tmp_path, *arguments)
    simulated_study.write_jsonl(file, [{"prompt": "p", "chosen": "c", "rejected": "r"}])
    assert "name the study with --study" in refused(tmp_path / "fresh", "import", file, "--kind", "dpo")


def test_an_audit_of_contaminated_rows_is_told_and_ends_with_exit_code_2(tmp_path: Path) -> None:
    late = "Say which of three given whole numbers is the largest one of them"
    found = filled(tmp_path, pair(0), pair(1, prompt=late))
    path = question(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace(ASKED, late), encoding="utf-8")
    assert pairs(tmp_path, "audit").returncode == 0
    done = pairs(tmp_path, "audit", "--study", path)
    assert done.returncode == 2
    assert f"`{pair(1, prompt=late).id}`: the probe prompt `probe-1`, 1.00 similar" in done.stdout
    assert done.stderr.startswith("nightlane: pairs never come from probe or holdout prompts")
    assert pairs(tmp_path, "export", tmp_path / "out", "--kind", "dpo").returncode == 2
    assert len(found.rows("dpo")) == 2


def test_a_workspace_without_rows_says_so_and_stays_as_it_was(tmp_path: Path) -> None:
    assert pairs(tmp_path, "list").stdout == "no rows yet; see nightlane pairs import --help\n"
    assert data(tmp_path, "list") == []
    assert "holds no rows yet" in pairs(tmp_path, "audit").stdout
    assert data(tmp_path, "audit") == []
    assert list(tmp_path.iterdir()) == []


def test_withdrawn_rows_are_listed_with_their_state(tmp_path: Path) -> None:
    found = filled(tmp_path)
    found.withdraw("the KEEP s1-001 was retracted", TIME, row=pair(2).id)
    assert [row["id"] for row in data(tmp_path, "list", "--state", "withdrawn")] == [pair(2).id]
    assert len(data(tmp_path, "list", "--state", "live")) == 7
    assert [row["id"] for row in data(tmp_path, "list", "--limit", 2)] == [pair(6).id, pair(7).id]
    shown = data(tmp_path, "show", pair(2).id[:8])
    assert (shown["state"], shown["reason"]) == ("withdrawn", "the KEEP s1-001 was retracted")
    assert "withdrawn: the KEEP s1-001 was retracted" in pairs(tmp_path, "show", pair(2).id).stdout


# a review


def seen(
    found: Stores, answers: list[str | None], kind: str | None = "dpo", rows: int = 5
) -> tuple[Reviewed, list[str]]:
    shown: list[str] = []
    said = iter(answers)

    def show(one: AnnotatedRow, place: int, of: int) -> None:
        shown.append(one.id)

    return review(found, kind, rows, "ann", show, lambda: next(said, None)), shown


def test_a_review_records_each_verdict_as_it_is_given_and_ends_with_quit_or_the_end(tmp_path: Path) -> None:
    found = filled(tmp_path)
    done, shown = seen(found, ["nonsense", "G", "", "bad\n", "s", "q", "good"])
    assert [one.verdict for one in done.verdicts] == ["good", "bad", "skip"]
    assert len(shown) == 4
    assert (done.judged, done.needed, done.looked_at) == (2, 5, False)
    done, shown = seen(found, ["g", "g", "g"])
    assert not {one.row for one in done.verdicts} & {pair(7).id, pair(6).id}
    assert (done.judged, done.looked_at, found.reviewed("dpo")) == (5, True, True)
    (verdict, *_) = found.find(pair(7).id).reviews
    assert (verdict.verdict, verdict.by, verdict.store) == ("good", "ann", found.digest("dpo"))


def test_without_a_kind_the_first_store_that_nobody_has_looked_at_is_shown(tmp_path: Path) -> None:
    found = filled(tmp_path, pair(0), reward(1), pair(2, "preference"))
    assert [seen(found, ["g"], None)[0].kind for _ in range(4)] == ["dpo", "preference", "reward", "dpo"]
    with pytest.raises(BadInput, match="has no row to review"):
        seen(found, ["g"], "orpo")


def test_a_review_goes_by_pipe_and_shows_both_sides_next_to_each_other(tmp_path: Path) -> None:
    found = filled(tmp_path, pair(0), pair(1))
    done = pairs(tmp_path, "review", "--by", "bob", answers="good\n")
    assert done.returncode == 0
    assert "1 of 2\ndpo row" in done.stdout
    assert any("return x * 1" in line and "return x - 1" in line for line in done.stdout.splitlines())
    assert done.stdout.splitlines()[-1].startswith("dpo: 1 of 2 rows judged good or bad; go on with")
    assert "good, bad, skip or quit?" in done.stderr
    assert [one.by for one in found.find(pair(1).id).reviews] == ["bob"]


def test_who_has_no_login_name_says_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_or_login(None)
    assert name_or_login(" ann ") == "ann"
    with pytest.raises(BadInput, match="--by is empty"):
        name_or_login(" ")

    def nobody() -> str:
        raise OSError

    monkeypatch.setattr("getpass.getuser", nobody)
    with pytest.raises(BadInput, match="--by NAME"):
        name_or_login(None)


# what a terminal is shown


@pytest.mark.parametrize("width", [10, 60, 100, 173])
def test_no_line_is_wider_than_the_terminal_and_no_control_character_reaches_it(width: int) -> None:
    nasty = "\x1b[31mred\x07 \u202eevil\n" + "x" * 300 + "\n\tindented 源源源" + "源" * 90
    row = pair(0, texts=(nasty, "short"), prompt=f"asked {nasty}")
    one = AnnotatedRow(
        row,
        withdrawn="gone \x1b[2J",
        up=1,
        down=2,
        flipped=True,
        dropped=True,
        reviews=(Review(row.id, "bad", "b\x1bob", TIME, "s"),),
    )
    shown = pair_text(one, width, "1 of 5")
    assert all(cell_len(line) <= max(width, 40) for line in shown.splitlines())
    assert not set(shown) & set("\x1b\x07\u202e\t")
    assert "bad by" in shown


def test_conversations_are_shown_by_their_roles_and_rewards_in_one_column() -> None:
    shown = pair_text(AnnotatedRow(talk(3)), 80)
    assert "[system] Be brief." in shown
    assert "[assistant] Yes, 3." in shown
    shown = pair_text(AnnotatedRow(reward(3)), 80)
    assert "COMPLETION 3" in shown
    assert "figures brief 1, correct 0.5" in shown


def test_a_list_keeps_to_its_columns(tmp_path: Path) -> None:
    rows = [
        AnnotatedRow(pair(n, category="源" * 40, source="a very long name of a source"), up=3, flipped=True)
        for n in range(4)
    ]
    lines = list_text({"dpo": rows}, 2).splitlines()
    assert lines[0] == "dpo: 4 rows, the latest 2 of them"
    assert len(lines) == 4
    assert all(cell_len(line) <= 100 for line in lines)
