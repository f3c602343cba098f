"""HTML pages: templates and assets, and one function that makes a page of them that needs no other file."""
