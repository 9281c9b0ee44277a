"""How Assay is installed and run."""
