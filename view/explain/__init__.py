"""Explains one decision or stack: the figures and thresholds that decided it."""
