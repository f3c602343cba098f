"""A session in a tracker of experiments: session_run.py is what is told, services.py how each tracker is told it,
reporting.py the thread that does it beside the session."""
