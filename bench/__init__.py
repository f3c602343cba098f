"""How good it is: figures as ratios against a named alternative, measured in one run. ``make bench`` runs them all."""
