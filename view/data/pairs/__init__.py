"""The rows of the preference stores as a person pages through them: which match a filter, and what one shows."""
