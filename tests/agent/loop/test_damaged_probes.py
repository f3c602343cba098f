"""Probe directories that are gone, torn or changed under a session: measured again, and the night is what it would have
been."""

import json
from collections.abc import Callable
from pathlib import Path

import harvests
import pytest
import sessions

from agent.loop.harvest import HARVEST, Harvest
from agent.loop.judging.pairwise_choices import Choices
from agent.study.load import Study
from common.errors import MissingRequirement
from probes.result.reading import Pair, Probe, ProbeKey
from probes.run.store import ProbeStore
from view.data.results import read_results

COLUMNS = ["status", "knob", "before", "after", "delta", "ci_low", "reason"]
FEW = "probes = 26"


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def remove(path: Path) -> None:
    path.unlink()


def change_a_figure(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")


@pytest.mark.long
@pytest.mark.parametrize("harm", [remove, change_a_figure])
def test_what_a_decision_rests_on_is_run_again_when_it_is_gone_before_the_decision(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None]
) -> None:
    """All probes of the session: the start's, and those of its waves and of a confirmation."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    sessions.play(study, whole)
    sessions.interrupted(study, cut, monkeypatch, 21)
    damaged = list((cut / "runs").glob("probe-*/outcome.json"))
    for path in damaged:
        harm(path)
    sessions.go_on(cut)
    assert all(ProbeStore(cut / "runs").read(path.parent.name.removeprefix("probe-")) for path in damaged)
    tables = [read_results(folder / "results.tsv")[COLUMNS] for folder in (whole, cut)]
    assert tables[0].equals(tables[1])


def test_answers_that_changed_before_they_were_harvested_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    harvests.night(harvests.study(whole, budget=FEW), whole)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Harvest, "_make_pairs", interrupt)
        harvests.night(harvests.study(cut, budget=FEW), cut)
    store, changed = ProbeStore(cut / "runs"), []
    for path in (cut / "runs").glob("probe-*/answers.jsonl"):
        manifest = json.loads((path.parent / "outcome.json").read_text(encoding="utf-8"))
        if manifest["reading"]["key"]["split"] == HARVEST:
            path.write_text(path.read_text(encoding="utf-8").replace("says", "lies"), encoding="utf-8")
            changed.append(path.parent.name.removeprefix("probe-"))
    runner = harvests.go_on(harvests.study(cut, budget=FEW), cut, monkeypatch)
    assert set(changed) <= {probe.id for probe in runner.asked}
    assert all(store.answers(name) for name in changed)
    texts = [
        {kind: sorted(str((one.row.prompt, one.row.texts)) for one in rows) for kind, rows in found.items()}
        for found in (harvests.stores(whole), harvests.stores(cut))
    ]
    assert texts[0] == texts[1]
    assert texts[0]["dpo"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"choices": [{}], "failure": null}', "[" * 100_000])
def test_choices_that_are_damaged_are_none_and_a_decision_on_them_says_the_way_out(
    study: Study, tmp_path: Path, text: str
) -> None:
    key = ProbeKey(steps=4, base="base", data="data", prompts="prompts", scorer="scorer", samples=1, environment="here")
    pair = Pair(Probe(study.start, key, 1), Probe(study.start, key, 2))
    choices = Choices(tmp_path, ProbeStore(tmp_path), study)
    (tmp_path / f"choices-{pair.candidate.id}-{pair.baseline.id}.json").write_text(text, encoding="utf-8")
    assert not choices.is_made(pair)
    with pytest.raises(MissingRequirement, match="nightlane resume"):
        choices.read([pair])
