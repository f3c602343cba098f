"""Certifies rows by a gate: receipts, certificates, and the ORPO rows of what passes."""
