"""The search of a session: its waves and stacks, what they spent of its error, and what each knob does."""
