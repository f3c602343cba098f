"""Promotion: whether what a search found is also better at full length, on prompts that decided nothing so far.

full_runs    the full-length runs of a promotion, each kept and used again
measure      their answers to the holdout prompts, scored
figures      differences, failure classes and prompts that changed; pure
decision     PROMOTE or HOLD; pure
prediction   whether probe differences predict full-length differences; pure
promote      all of it, from a request to a promotion
"""

RECORD = "promotion.json"
"""Written last, with the figures and the digest of the report."""
