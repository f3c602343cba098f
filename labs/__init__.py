"""Bundled studies. Each is a package whose `build(directory, progress)` generates its files on first use: prompts,
training data and a base model.

`_build` has the code that they share: the build with its manifest, preference pairs, timing, measuring, the command
line.
"""
