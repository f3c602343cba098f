"""The rows of the preference stores as a person pages through them: which are chosen by a filter, and what one shows."""
