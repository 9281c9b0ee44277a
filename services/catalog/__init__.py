"""Catalog: what is tested, and against what."""
