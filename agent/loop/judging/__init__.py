"""What a session does about a scorer that may be unfit, or that chooses between answers.

judge_monitor.py       examines the scorer
pairwise_choices.py    a judge's choices between the answers of both sides
restored_choices.py    asks the judge again where its choices are gone or damaged
"""
