"""Decides the confirmations of a session again, with another scorer of the same answers.

replacement_scorer.py   reads the file of the other scorer
answers.py              scores the kept answers of a probe again, or chooses between those of two probes
replay.py               applies the rule, look by look, to readings that were measured before: a pure function
session.py              replays all confirmations of a session with both scorers; writes only runs/rescore-*/
"""
