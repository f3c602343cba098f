"""Reason codes in words."""

from probes.run.failures import crash_meaning
from view.report.markdown import code, text

WORDS = {
    "baseline": "the recipe that the session starts from",
    "improved": "a confirmation on fresh seeds showed the improvement, and every guard held",
    "worse": "the target got worse: the whole interval is below 0",
    "no_effect": "the whole interval is below the smallest effect that counts",
    "unpromising": "after few pairs it was too unlikely to be kept in the end to measure on",
    "unconfirmed": "promising at first, but fresh seeds did not show the improvement",
    "overtaken": "promising, but another candidate of its round was kept first",
    "budget": "the budget ended before it was decided; it is open for another try",
    "calibration": "the incumbent itself in disguise, and nothing was made of it",
    "false_alarm": "the incumbent itself in disguise, and the rule would have kept it",
    "leave_one_out": "left out of what stands and measured again, it is no longer shown to help",
    "holdout": "on the holdout prompts there is no improvement from start to end",
    "inconclusive": "the interval reaches from below what KEEP needed to above it",
}


OLDER = {
    "improved": "the whole interval was above what KEEP needed, and every guard's above minus its margin",
    "no_effect": "the whole interval was below the smallest effect that counts",
}
"""What these meant where each interval decided by itself."""


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
