"""The nightlane command: one file per group of commands. Only this package may import everything."""
