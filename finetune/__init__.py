"""The full-length run: trains one recipe on its whole data, to be shipped. It has no score (invariant 1,
docs/architecture.md)."""
