"""The SQLite file of the ledger: opens, creates, checks and repairs it, and converts rows to columns and back."""
