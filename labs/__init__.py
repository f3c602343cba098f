"""Bundled studies. Each is a package with a `build(directory, progress)` that makes its material on first use.

`_build` has what they share: the build with its manifest, preference pairs, timing, measuring, the command line.
"""
