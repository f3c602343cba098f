"""The rows of the preference stores for pages: which rows match a filter, and what is shown of a row."""
