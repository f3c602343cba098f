"""Training runs and probes as they trained: what a person sees of them while they run and afterwards."""
