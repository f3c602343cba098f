"""nightlane watch: the running session in a terminal, as nightlane view shows it in a browser."""
