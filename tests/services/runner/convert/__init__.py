"""How what clients say is spelled."""
