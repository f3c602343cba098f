"""How a session begins.

session.py             begins a session, or resumes one
starting_recipe.py     chooses the recipe that it starts from
baseline.py            measures repeats of the starting recipe, their noise, and how many answers each prompt gets
"""
