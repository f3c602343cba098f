"""Running probes: the Runner protocol, local worker processes, and the directory of each probe."""
