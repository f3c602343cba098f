"""What a session does between its start and its end.

evidence.py            the readings, in the form that the policy reads
proposals.py           the proposals, each recorded once, and their predicted effects
waves.py               designs, records and measures a wave
confirmations.py       records and measures a stack, or an A/A test, until the rule decides
decisions.py           records the decisions
"""
