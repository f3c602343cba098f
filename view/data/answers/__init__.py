"""Answers of two recipes to the same prompts."""
