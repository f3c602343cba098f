"""Lists of sessions and decisions, for pages that show many rows and little of each."""
