"""What a night would have kept by another scorer.

replacement_scorer.py   the file of the other scorer
answers.py              the kept answers of a probe, scored again, or of two probes, between which the scorer chooses
replay.py               the rule, look by look, on readings that were measured before: a pure function
session.py              all confirmations of a session, with both scorers; writes runs/rescore-*/ and nothing else
"""
