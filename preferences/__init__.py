"""Preference data: pairs and rewards in four append-only stores, votes and reviews, two gates, files to train on."""
