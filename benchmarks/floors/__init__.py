"""Floors: the same bytes, statements and hashes with nothing around them; what a ratio of 1 would be."""
