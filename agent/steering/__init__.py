"""A person steers a session from another process: requests.py checks a request and records it, handler.py carries it
out at the session's next safe point."""
