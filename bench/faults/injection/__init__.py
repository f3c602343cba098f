"""Faults at system calls: which calls change files, how a command is killed at one, and what a power cut leaves."""
