"""What exists: runs, their results, and how each family reads a run."""
