"""Runs programs and references in the sandbox on the inputs of a contract."""
