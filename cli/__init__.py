"""The nightlane command: main.py puts the groups in commands/ together. Only this package may import everything."""
