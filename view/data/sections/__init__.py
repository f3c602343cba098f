"""The figures of the sections of a session's report, one file each."""
