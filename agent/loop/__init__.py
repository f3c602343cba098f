"""The loop of a session: search in waves, confirm stacks, record decisions and harvest, until the budget ends.

graph.py               the graph, and what it does after a kill
nodes.py               what each node does: plan, look (measure a wave), confirm, record
start_or_resume/       begins or resumes a session; repeats of the starting recipe, and the noise floor
search/                the readings as the policy sees them, proposals, waves, confirmations, and the rows of decisions
judging/               examines the scorer; a judge's choices between the answers of both sides
measurements.py        runs probes within the budget and under an unchanged study
in_flight.py           the probes that run now, in a file for other processes
harvest.py             preference pairs from the answers of decided recipes
final_checks.py        leave-one-out and holdout
budget.py, seeds.py    what may be spent; the training seeds of each use
session_log.py         lines for the progress log and for whoever watches
"""
