"""The append-only stores of preference rows, and the annotations of their rows."""
