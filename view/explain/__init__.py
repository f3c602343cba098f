"""Why one decision came out as it did."""
