"""The study file: its schema, and the checks before anything is trained."""
