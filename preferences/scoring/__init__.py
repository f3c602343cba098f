"""Scores stored pairs that came without scores, by a study's scorer, so that a gate can certify them."""
