"""What a night does next, and when changes are kept: pure functions of what was measured.

settings.py             [policy], every threshold there is
night.py                what comes next: a wave, the confirmation of a stack, or the end
knob_effects.py         the knobs that are searched, a reading, and what moving a knob is worth: values only
knob_model.py           what all readings together say of every knob: a Gaussian process per knob, and the noise
wave_design.py          which recipes a wave measures
stack.py                which changes are confirmed together
search_parts.py         the parts of a search that a benchmark takes out
night_plan.py           how many probes go to looking, and how many pairs to confirming
night_power.py          what a night can show: the minimum detectable effect
confirmation.py         the rule: KEEP or DISCARD, look by look; and the error that is left
alpha_spending.py       levels at which one may look after every pair
own_effects.py          what all readings say of one change, and the decision on one that was not confirmed
decision_basis.py       what a decision rests on, as the ledger keeps it
retraction.py           what is tested at the end, and what is retracted
"""
