"""What ships for tests and demonstrations: a scripted endpoint, a simulated runner, hostile programs, contracts."""
