"""When a change is kept: the rule, what it knows, and the course a candidate takes through it. Pure functions.

settings.py             [policy], every threshold there is
decision_rule.py        screening and confirmation of one candidate, look by look
alpha_spending.py       levels at which one may look after every replicate
session_statistics.py   what earlier decisions teach: noise, how large effects are, error left, guards so far
effect_model.py         what survey and comparisons together say of a move: where to look and whom to confirm
predictive_power.py     the chance that a candidate will be kept in the end
retraction.py           what is tested at the end, and what is retracted

For nights of waves and stacks, which the benchmark plays and a session does not yet:

knob_model.py           what readings of recipes that move several knobs say of each knob
wave_design.py          which recipes a wave measures
stack.py                which changes are confirmed together
night_plan.py           how many probes go to looking, and how many to confirming
"""
