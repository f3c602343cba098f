"""Rows of the preference stores for people: lists, audits and dataset cards."""
