"""What is shipped: the full-length run, which trains one recipe on its whole data. It has no score (law 1)."""
