"""The commands that run, resume, show and steer sessions."""
