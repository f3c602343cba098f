"""The execution scorer: a Python program in an answer is run in the sandbox against the prompt's checks."""
