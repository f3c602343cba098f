"""SQLite files: opened by several processes at once, with digests that reveal damaged rows."""
