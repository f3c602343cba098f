"""Notices of a night, through apprise: notice.py writes them, send.py delivers them and remembers which were sent;
follow.py sends them beside the session, and watchdog.py from a process of its own."""
