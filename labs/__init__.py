"""Bundled studies. Each is a package with a `build(directory, progress)` that makes its material on first use.

What they share stands beside them: building (once, a manifest last), files, stage, measuring, command.
"""
