"""Rows as prompts, answers and tools: their forms, and the checks of conversations."""
