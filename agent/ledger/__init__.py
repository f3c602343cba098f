"""The durable record of sessions, proposals, probes and decisions, and the files for people written from it."""
