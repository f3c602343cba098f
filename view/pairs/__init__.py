"""Rows of the preference stores for people: lists, audits and dataset cards. Markdown is in templates/."""
