"""The append-only stores of preference rows, and what people said of their rows."""
