"""How a language model is asked to judge, what of its replies is believed, and whether it can be trusted at all.

question -> client -> judgement or preference, by way of the batch (several at once, each once: cache); the examiner
examines the judge with canaries and the calibration set and keeps the comparison epoch. The scorer itself is
probes/scoring/judge/scorer.py.
"""
