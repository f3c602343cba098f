"""The engine that trains a session's probes: ``[runner] engine``, or TRL if that engine cannot train all of them."""

from agent.study.load import Study
from probes.inputs.settings import RunnerSettings
from probes.model.compatibility import Requirements
from probes.train.packed.support import study_problem


def why_not_packed(study: Study) -> str:
    """Why a study that asks for the packed engine is trained by TRL, according to its settings; "" if it is not. A
    worker also checks the base model."""
    runner: RunnerSettings = study.file.runner
    if runner.engine != "packed":
        return ""
    return study_problem(Requirements.of(study.start, study.lanes.knobs).dora, runner)


def runner_settings(study: Study) -> RunnerSettings:
    """``[runner]`` with the engine that trains."""
    runner: RunnerSettings = study.file.runner
    return runner.model_copy(update={"engine": "trl"}) if why_not_packed(study) else runner
