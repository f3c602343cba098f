"""The exceptions of nightlane as one tree, with their exit codes.

NightlaneError                    exit code
├── BadInput                      2   a study, a file or an argument breaks a law
│   └── IllegalRecipe             2   a recipe or mutation that no probe may run
├── WorkspaceBusy                 3   another session holds the workspace
├── StudyChanged                  4   what decides (study, prompts, data, scorer) changed under a session
├── EndpointUnavailable           5   the language model's endpoint does not answer or refuses the key
├── MissingRequirement            6   the machine lacks something (a sandbox, a device, a package)
├── DiskFull                      7   nothing more can be written
├── BaselineFailed                8   the incumbent itself could not be measured
├── JudgeUnfit                    9   the judge fails its canaries or its calibration
├── BudgetSpent                   2   the next call could exceed the session's budget, so the session ends
└── UnlikeReadings                1   a comparison across probe keys: a defect of ours, never of the user

0 is success, 1 a defect of ours, 130 Ctrl-C (the session can be resumed).

Every message is one sentence: the law, the value, the remedy.
"""


class NightlaneError(Exception):
    exit_code = 1


class BadInput(NightlaneError):
    exit_code = 2


class IllegalRecipe(BadInput):
    pass


class WorkspaceBusy(NightlaneError):
    exit_code = 3


class StudyChanged(NightlaneError):
    exit_code = 4


class EndpointUnavailable(NightlaneError):
    exit_code = 5


class MissingRequirement(NightlaneError):
    exit_code = 6


class DiskFull(NightlaneError):
    exit_code = 7


class BaselineFailed(NightlaneError):
    exit_code = 8


class JudgeUnfit(NightlaneError):
    exit_code = 9


class BudgetSpent(NightlaneError):
    exit_code = 2


class UnlikeReadings(NightlaneError):
    pass
