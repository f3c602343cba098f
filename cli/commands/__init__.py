"""The commands of nightlane, one file per group; cli/main.py puts them together."""
