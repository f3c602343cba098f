"""The rules scorer: what regular expressions and counters see in an answer."""
