"""Plotly figures of what a session found. Pure functions: figures of view/data in, a ``Chart`` out."""
