"""Lists of sessions and decisions, for pages that show many rows with a few figures each."""
