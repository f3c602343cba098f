"""Notices of a night, through apprise: notice.py says what is told, send.py delivers it, follow.py tells it beside
the session, watchdog.py from a process of its own."""
