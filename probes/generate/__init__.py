"""Answers from a base model with an adapter: sampled here, or by a vLLM server."""
