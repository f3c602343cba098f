"""What the policy is given of the readings under a session's probe key."""

from dataclasses import replace
from pathlib import Path

import nights
from worlds import play, small_study

from agent.ledger.store import Ledger
from agent.loop.search.evidence import Evidence
from agent.policy.confirmation import ErrorBudget
from agent.policy.night import NightState
from agent.workspace.folder import Workspace
from probes.run.store import ProbeStore
from testing.simulated_runner import EffectWorld
from view.data.session_record import SessionRecord, load_record


def known(record: SessionRecord, key: str = "", passed_over: tuple[str, ...] = ()) -> NightState:
    with Ledger(record.workspace.ledger, read_only=True) as ledger:
        row, store = record.session, ProbeStore(record.workspace.runs)
        row = replace(row, key=key or row.key)
        return Evidence(record.study, ledger, store, row, passed_over=passed_over).known(
            record.start, ErrorBudget(0.05, {}), 10
        )


def test_readings_of_another_probe_key_or_of_a_session_that_is_passed_over_do_not_count(tmp_path: Path) -> None:
    text = nights.governed(nights.TWO_KNOBS)
    record = load_record(nights.night(tmp_path, text, probes=12, step=nights.hasty()), None)
    assert len(known(record).target) == len(record.probes) > 0
    assert not known(record, key="another").target
    assert not known(record, passed_over=(record.session.id,)).target


def test_no_recipe_moves_the_weight_of_the_only_source_of_its_manifest(tmp_path: Path) -> None:
    record = load_record(nights.night(tmp_path, probes=12, step=nights.hasty()), None)
    found, places = known(record), {knob.name: knob.place(knob.read(record.start)) for knob in record.study.lanes.knobs}
    assert found.legal({**places, "manifest": "good_only"})
    assert found.legal({**places, "weight.good": places["weight.good"] + 1})  # type: ignore[operator]
    assert not found.legal({**places, "manifest": "good_only", "weight.good": places["weight.good"] + 1})  # type: ignore[operator]


def test_an_incumbent_of_the_mixture_lane_has_the_places_that_its_readings_have(tmp_path: Path) -> None:
    """A kept manifest moves no weight, although the shares of the sources are others."""
    study = small_study(tmp_path, budget="probes = 40", lanes="[lanes.mixture]\n")
    play(study, tmp_path, EffectWorld(lambda recipe, split: 1.5 * (recipe.mixture == {"good": 1.0}), 0.1))
    record = load_record(Workspace(tmp_path), None)
    kept = record.incumbent
    with Ledger(record.workspace.ledger, read_only=True) as ledger:
        evidence = Evidence(study, ledger, ProbeStore(record.workspace.runs), record.session)
        found = evidence.known(kept, ErrorBudget(0.05, {}), 10)
        assert evidence.moves(evidence.incumbent_places(record.start), found.incumbent) == {"manifest": "good_only"}
        assert found.incumbent in [one.places for one in found.target]
        assert {axis.knob: evidence.value(kept, axis.knob, found.incumbent[axis.knob]) for axis in found.axes} == {
            axis.knob: study.lanes.knob(axis.knob).read(kept) for axis in found.axes
        }


def test_weights_that_leave_no_source_are_no_recipe_beside_a_manifest_either_and_end_no_night(tmp_path: Path) -> None:
    """By `even`, both weights of 0 leave nothing; with the manifest, they leave its third source."""
    knobs = nights.KNOBS.replace(
        "[lanes.mixture]\n",
        "[lanes.mixture]\nmanifest = {}\nweights = { low = 0.0, high = 3.0, step = 1.0, reach = 1 }\n",
    )
    text = nights.variant(knobs).replace("[data.manifests.even]\n", 'plain = "good.jsonl"\n[data.manifests.even]\n')
    text = text.replace("[prompts]\n", "[data.manifests.all]\ngood = 1.0\nbroken = 1.0\nplain = 1.0\n[prompts]\n")
    record = load_record(nights.night(tmp_path, text, probes=12, step=nights.hasty()), None)
    found, places = known(record), {knob.name: knob.place(knob.read(record.start)) for knob in record.study.lanes.knobs}
    gone = {name: record.study.lanes.knob(name).place(0.0) for name in ("weight.good", "weight.broken")}
    assert not found.legal({**places, **gone})
    assert not found.legal({**places, **gone, "manifest": "all"}), "the manifest reads as custom"
