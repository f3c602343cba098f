"""What a person sees: figures, the session report, pages in a browser, the terminal.

It reads what the others wrote, and writes reports and votes on pairs.
"""
