"""The base model and its adapters: loaded, checked against what a study asks, put on and taken off."""
