"""What all packages share: errors, whole files, digests, what is printed. The standard library only."""
