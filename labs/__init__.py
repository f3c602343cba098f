"""Bundled studies. Each is a package with a `build(directory, progress)` that makes its material on first use."""
