"""The loop of a session: it proposes changes, measures and decides on them, and records what happened.

study       the study file: what it says, and what is refused
ledger      the durable record of proposals, probes and decisions, and results.tsv and progress.log, written from it
loop        the graph of a session
policy      what a night does next, and the rule of a decision: pure functions
proposers   language model, Optuna and others that propose changes
steering    pause, stop, skip and other requests of a person to a running session
rescore     decides the confirmations of a session again with another scorer
workspace   the folder of sessions: its lock, and a check of every file in it
"""
