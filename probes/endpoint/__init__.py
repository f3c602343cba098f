"""Endpoints that speak the protocol of the openai client: calls, retries, what they cost, JSON in replies."""
