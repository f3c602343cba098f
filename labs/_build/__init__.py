"""Shared by the labs: building the material of a study and measuring its recipes."""
