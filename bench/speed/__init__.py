"""Benchmarks of speed: ratios to a named alternative that is measured in the same run."""
