"""The loop of a session: its graph, its nodes, and what each step of it does."""
