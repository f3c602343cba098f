"""Messages to people and to experiment trackers about a session, sent from beside it.

follower.py   the thread beside a session, which reads the ledger; the session does not know of it
notices/      messages to people, through apprise
trackers/     the session in an experiment tracker

It writes which messages were sent and which probes were reported, and lines of a session's progress log.
"""
