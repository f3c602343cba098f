"""Figures of a session, read from the ledger and the probe directories."""
