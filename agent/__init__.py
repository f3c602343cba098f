"""What is decided.

study       the study file: what it says, and what is refused
ledger      the durable record of proposals, probes and decisions, and results.tsv and progress.log, written from it
loop        the graph of a session
policy      what a night does next, and the rule of a decision: pure functions
proposers   who proposes changes
steering    what a person asks of a running session
rescore     what a night would have kept by another scorer
workspace   the folder of sessions: its lock, and a check of every file in it
"""
