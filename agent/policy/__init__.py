"""What a night does next, and when changes are kept: pure functions of what was measured.

settings.py             [policy]: the thresholds that a study may set
night.py                what comes next: a wave, the confirmation of a stack, or the end
knob_effects.py         input and output of the model: the searched knobs, readings, and the effects of moves
knob_model.py           the model of all readings: a Gaussian process per knob, and the noise
wave_design.py          which recipes a wave measures
stack.py                which changes are confirmed together
search_parts.py         the parts of a search that a benchmark can replace
night_plan.py           how many probes go to searching, and how many pairs to confirming
night_power.py          the minimum detectable effect of a night, and the chance of a KEEP
confirmation.py         the rule: KEEP or DISCARD, look by look; and the error that is left
alpha_spending.py       significance levels of the looks, one after every pair
own_effects.py          the effect of one change by all readings, and the decision on one that was not confirmed
decision_basis.py       what a decision rests on, as the ledger keeps it
retraction.py           what is tested at the end, and what is retracted
"""
