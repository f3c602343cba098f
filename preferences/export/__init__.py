"""The rows of a store as a dataset folder, with its record."""
