"""How long things take, as ratios against a named alternative in one run."""
