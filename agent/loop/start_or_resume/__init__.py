"""How a session begins.

session.py             opens a session, new or killed
starting_recipe.py     which recipe it starts from
baseline.py            the start: repeats of the starting recipe, how noisy these are, and how many answers each
                       prompt gets
"""
