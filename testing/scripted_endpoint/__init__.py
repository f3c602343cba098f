"""A scripted language model behind a real HTTP server on loopback."""
