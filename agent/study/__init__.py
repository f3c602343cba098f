"""The study file: its schema, and what can be said of a study before anything is trained."""
