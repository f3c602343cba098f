"""What a session does between its start and its end.

evidence.py            what was measured, as the policy reads it
proposals.py           the proposals, each made once, and what is expected of them
waves.py               makes, records and measures a wave
confirmations.py       makes, records and measures a stack, or an A/A test, until the rule decides
decisions.py           the rows
"""
