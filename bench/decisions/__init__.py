"""The benchmark of decision procedures on simulated nights with known effects. The protocol is in night.py."""
