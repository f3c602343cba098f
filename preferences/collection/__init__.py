"""New rows of the stores: paired from scored answers, or read from a file."""
