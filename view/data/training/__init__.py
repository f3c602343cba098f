"""What a person sees of full-length runs and of the training of probes, while they run and afterwards."""
