"""Tests whether the sandbox holds on this machine, and measures its cost."""
