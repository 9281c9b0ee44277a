"""What a run asks: one module per kind of connection."""
