"""The inputs of a probe: settings, files of rows and prompts, and the order of the training rows."""
