"""HTML pages: templates and assets, and a function that makes a page in one file, which needs no other."""
