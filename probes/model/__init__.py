"""The base model and its adapters: loading, compatibility checks, adding and removing adapters."""
