"""Other people's benchmarks as scorers: a task of Inspect or of lm-evaluation-harness scores the answers.

settings.py       the keys of [scorer] that both kinds have
task.py           what a task is here: samples, and a score per answer
inspect_task.py   an Inspect task as one
lm_eval_task.py   an lm-evaluation-harness task as one
scorer.py         the scorers of both kinds
prompts.py        makes the prompts file from a task's samples (nightlane prompts)

Neither package is imported before a task is loaded.
"""
