"""Reason codes in words."""

from probes.run.failures import crash_meaning
from view.markdown import code, text

WORDS = {
    "baseline": "the recipe that the session starts from",
    "improved": "fresh seeds confirmed the improvement of its stack, and every guard held",
    "worse": "the target got worse: the whole interval of its own effect, or of its stack's, is below 0",
    "no_effect": "the whole interval of its own effect is below the smallest effect that counts",
    "unpromising": "by all readings, it is not likely enough to be worth more than nothing",
    "unconfirmed": "fresh seeds did not confirm the improvement of its stack; it may be proposed again",
    "overtaken": "likely to be good, but a stack without it was kept first; it may be proposed again",
    "budget": "the session ended before it could be confirmed; a later session may try it again",
    "skipped": "a person took it out of the search; a later session may try it",
    "calibration": "an A/A test, the incumbent against itself, with no false alarm",
    "false_alarm": "an A/A test, the incumbent against itself, that the rule would have kept",
    "leave_one_out": "left out of the recipe that stands and measured again, it is not likely enough to help",
    "holdout": "on the holdout prompts, the whole interval is at or below the smallest effect",
    "inconclusive": "in an older session: the interval contains the threshold of a KEEP",
}


OLDER = {
    "improved": "measured by itself, it improved the target, and every guard held",
    "unpromising": "after a few pairs, the chance that it would be kept in the end was too small",
    "unconfirmed": "promising after a few pairs, but not confirmed on fresh seeds",
    "overtaken": "promising, but another candidate of its round was kept first",
    "inconclusive": "the interval contains the threshold of a KEEP",
}
"""Their meaning in older sessions, which measured every change by itself."""


def reason(code_word: str, older: bool = False) -> str:
    """A decision's reason code in words; ``older``: for a session that confirmed no stacks."""
    word, _, name = code_word.partition(":")
    if older and word == "guard":
        return f"{code(name)} may have lost more than its margin"
    if older and word in OLDER:
        return OLDER[word]
    if word == "guard":
        return f"{code(name)} was not shown, or is not expected, to stay inside its margin"
    if word == "cumulative":
        return f"with all KEEPs so far, {code(name)} was not shown to stay inside its margin"
    if word == "holdout_guard":
        return f"on the holdout prompts {code(name)} fell by more than its margin from start to end"
    if crash := crash_meaning(code_word):
        return crash.words
    return WORDS.get(word, text(code_word))
