"""Rows through a gate: contracts, receipts and certificates."""
