"""Faults, by the hundred and for hours: `make chaos` and `make soak`."""
