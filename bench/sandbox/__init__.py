"""Whether the sandbox holds on this machine, and what it costs."""
