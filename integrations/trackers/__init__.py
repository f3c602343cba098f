"""A session in an experiment tracker: session_run.py has what is logged, services.py how each tracker logs it,
reporting.py the thread that does so beside the session."""
