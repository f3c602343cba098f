"""Restores files of a judge's choices that are gone or damaged when a session begins or is resumed."""

from agent.ledger.tables import COMPARED
from agent.loop.measurements import Measurements
from agent.workspace.choices_file import choices_path, has_choices, stored_comparisons
from common.errors import BudgetSpent
from common.wording import count
from probes.result.reading import Pair, Probe


def restore_choices(measurements: Measurements) -> None:
    """Have the judge compare answers again whose choices are gone or damaged, within the budget, because search and
    decisions use them. Lost choices of earlier sessions are logged, and do not count."""
    if not measurements.judge_monitor.chooses:
        return
    pairs = _compared_pairs(measurements)
    lost = [pair for pair in pairs if not measurements.choices.is_made(pair)]
    measurements.record_compared([pair for pair in pairs if pair not in lost])  # such as those of an older version
    if lost:
        name, what = measurements.choices.path(lost[0]), count(len(lost), "comparison")
        measurements.log(f"the choices of {what} are gone or damaged ({name}): the judge is asked again")
        try:
            measurements.measure_pairs("answers to compare again", lost)
        except BudgetSpent as error:
            measurements.log(f"the choices of {what} stay lost and do not count: {error}")
    earlier = _lost_earlier(measurements)
    if earlier:
        what = count(len(earlier), "comparison")
        measurements.log(
            f"the choices of {what} of earlier sessions are gone or damaged and do not count: {earlier[0]}"
        )


def _compared_pairs(measurements: Measurements) -> list[Pair]:
    """The pairs of this session that were compared, according to the ledger or the files, under the probe key of the
    deciding split. Other pairs are compared when they are needed."""
    ledger, key, session = measurements.ledger, measurements.key, measurements.row.id
    probes = {row.id: Probe(ledger.recipe(row.recipe), key, row.seed) for _, row in ledger.probes_after(key.digest, 0)}
    recorded = [check.subject for check in ledger.checks(session, COMPARED)]
    names = dict.fromkeys((*recorded, *stored_comparisons(measurements.workspace.session(session))))
    both = ([probes[probe] for probe in name.split("-") if probe in probes] for name in names)
    return [Pair(*sides) for sides in both if len(sides) == 2]


def _lost_earlier(measurements: Measurements) -> list[str]:
    """Paths of the lost choices of other sessions under the same question and probe key."""
    row, workspace = measurements.row, measurements.workspace
    checks = measurements.ledger.checks_after(row.question, measurements.key.digest, (COMPARED,), 0)
    others = [check for _, check in checks if check.session != row.id]
    paths = [choices_path(workspace.session(check.session), check.subject) for check in others]
    return [str(path) for path in paths if not has_choices(path)]
