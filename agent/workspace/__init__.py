"""The folder that holds results.tsv and runs/: one session at a time, and a check of every file in it."""
