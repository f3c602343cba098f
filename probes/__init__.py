"""What happens: data, training, generation, scoring, baselines, comparison, and the runners that run probes."""
