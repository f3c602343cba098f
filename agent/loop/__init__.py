"""The loop of a session: look in waves, confirm stacks, record and harvest, until the budget ends.

graph.py               the graph, and what it does after a kill
nodes.py               what each node does: plan, look, confirm, record
begin_or_resume.py     opens a session, new or killed
baseline.py            the start: repeats of the starting recipe
noise_floor.py         how noisy these are, and how many answers each prompt gets
waves.py               makes, records and measures a wave
confirmations.py       makes, records and measures a stack, or an A/A test, until the rule decides
evidence.py            what was measured, as the policy reads it
proposals.py           the proposals, each made once
decisions.py           the rows
final_checks.py        leave-one-out and holdout
measurements.py        runs probes within the budget and under an unchanged study
budget.py, seeds.py    what may be spent; which training seeds are used for what
harvest.py             preference pairs of what was decided
judge_monitor.py       examines the scorer
pairwise_choices.py    a judge's choices between the answers of both sides
session_log.py         lines for people, and who watches
"""
