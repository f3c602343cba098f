"""What a person sees: figures, the session report, pages in a browser, the terminal.

It reads what the other packages wrote, and writes reports, with their figures and recipe.toml, and votes on pairs.
"""
