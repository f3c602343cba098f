"""The commands that evaluate, train, promote and export a model."""
