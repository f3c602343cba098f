"""When a change is kept: the rule, what it knows, and the course a candidate takes through it. Pure functions.

settings.py   [policy], every threshold there is
boundary.py   levels at which one may look after every replicate
knowledge.py  what the session's earlier decisions teach: noise, how large effects are, error left, guards so far
response.py   what survey and comparisons together say of a move: where to look and whom to confirm
outlook.py    the chance that a candidate will be kept in the end
course.py     screening and confirmation of one candidate, look by look
final.py      what is tested at the end, and what is retracted
"""
