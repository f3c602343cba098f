"""Reads programs without running them: helpers for syntax trees, and the longer checks of the layers."""
