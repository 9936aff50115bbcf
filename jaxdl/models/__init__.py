"""Models: one file an architecture."""
