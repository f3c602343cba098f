"""The engine that trains a session's probes: that of ``[runner] engine``, unless it cannot train them all."""

from agent.study.load import Study
from probes.inputs.settings import RunnerSettings
from probes.model.compatibility import Requirements
from probes.train.packed.support import study_problem


def why_not_packed(study: Study) -> str:
    """Why a study that asks for the packed engine is trained by TRL, as far as its settings tell; "" otherwise. A
    worker looks at the base."""
    runner: RunnerSettings = study.file.runner
    if runner.engine != "packed":
        return ""
    return study_problem(Requirements.of(study.start, study.lanes.knobs).dora, runner)


def runner_settings(study: Study) -> RunnerSettings:
    """``[runner]`` with the engine that trains."""
    runner: RunnerSettings = study.file.runner
    return runner.model_copy(update={"engine": "trl"}) if why_not_packed(study) else runner
