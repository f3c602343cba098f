"""The parts of the sandbox that run in the caller's process."""
