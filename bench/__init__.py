"""Benchmarks. Figures are ratios to a named alternative that is measured in the same run. ``make bench`` runs all."""
