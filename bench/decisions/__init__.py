"""The benchmark of decision procedures: planted nights, rivals, figures. The protocol is in night.py."""
