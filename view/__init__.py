"""What a person sees: figures, the session report, pages in a browser, the terminal.

It reads what the other packages wrote, and writes only reports and votes on pairs.
"""
