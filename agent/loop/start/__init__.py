"""How a session begins.

begin_or_resume.py     opens a session, new or killed
baseline.py            the start: repeats of the starting recipe
noise_floor.py         how noisy these are, and how many answers each prompt gets
"""
