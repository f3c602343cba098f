"""What a command prints: a running session, its status, and what to type next."""
