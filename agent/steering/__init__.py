"""A person steers a session from another process: requests.py says what may be asked and refuses what is illegal at
once, handler.py is what the session does with a request at its next safe point."""
