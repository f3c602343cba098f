"""The SQLite file below the ledger: opened, created, checked, repaired, and rows to columns and back."""
