"""The search of a session: its waves and stacks, the part of the error that they spent, and what each knob does."""
