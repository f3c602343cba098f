"""The session report."""
