"""The loop of a session: look in waves, confirm stacks, record and harvest, until the budget ends.

graph.py               the graph, and what it does after a kill
nodes.py               what each node does: plan, look, confirm, record
start_or_resume/       opens a session, new or killed; repeats of the starting recipe, and how noisy these are
search/                the readings as the policy sees them, proposals, waves, confirmations, and the rows they end in
judging/               examines the scorer; a judge's choices between the answers of both sides
measurements.py        runs probes within the budget and under an unchanged study
in_flight.py           the probes in flight, on disk for other processes
harvest.py             preference pairs of what was decided
final_checks.py        leave-one-out and holdout
budget.py, seeds.py    what may be spent; which training seeds are used for what
session_log.py         lines for people, and who watches
"""
