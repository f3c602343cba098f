"""What a probe returns, and what two sides of probes say when they are compared."""
