"""What a person sees: figures, the session report, pages in a browser, the terminal.

It reads what the others wrote. It writes reports and votes on pairs. follow.py, notices/ and trackers/ also write which
messages were sent, and lines of a session's progress log.
"""
