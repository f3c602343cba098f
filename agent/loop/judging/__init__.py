"""A scorer that may be unfit, or that chooses between answers.

judge_monitor.py       examines the scorer
pairwise_choices.py    a judge's choices between the answers of both sides
restored_choices.py    has the judge asked again where its choices are gone or damaged
"""
