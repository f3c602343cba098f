"""Reason codes in words."""

from probes.run.failures import crash_meaning
from view.markdown import code, text

WORDS = {
    "baseline": "the recipe that the session starts from",
    "improved": "a confirmation on fresh seeds showed the improvement, and every guard held",
    "worse": "the target got worse: the whole interval is below 0",
    "no_effect": "the whole interval is below the smallest effect that counts",
    "unpromising": "after a few pairs, the chance that it would be kept in the end was too small",
    "unconfirmed": "promising in screening, but not confirmed on fresh seeds",
    "overtaken": "promising, but another candidate of its round was kept first",
    "budget": "the budget ended before it was decided; a later session may try it again",
    "calibration": "an A/A test, the incumbent against itself, with no false alarm",
    "false_alarm": "an A/A test, the incumbent against itself, that the rule would have kept",
    "leave_one_out": "the leave-one-out re-test no longer shows that it helps",
    "holdout": "the holdout prompts show no improvement from start to end",
    "inconclusive": "the interval contains the threshold of a KEEP",
}


OLDER = {
    "improved": "the whole interval was above what KEEP needed, and every guard's above minus its margin",
    "no_effect": "the whole interval was below the smallest effect that counts",
}
"""Their meaning in older sessions, where each interval decided by itself."""


def reason(code_word: str, older: bool = False) -> str:
    """A decision's reason code in words; ``older``: of a session that had no confirmations."""
    word, _, name = code_word.partition(":")
    if older and word == "guard":
        return f"the target improved, but {code(name)} may have lost more than its margin"
    if older and word in OLDER:
        return OLDER[word]
    if word == "guard":
        return f"{code(name)} was not shown, or was unlikely to be shown, to stay inside its margin"
    if word == "cumulative":
        return f"with all KEEPs so far, {code(name)} was not shown to stay inside its margin"
    if word == "holdout_guard":
        return f"on the holdout prompts {code(name)} fell by more than its margin from start to end"
    if crash := crash_meaning(code_word):
        return crash.words
    return WORDS.get(word, text(code_word))
