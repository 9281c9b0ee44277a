"""What exists in the catalog: frozen entities and their rules, pure."""
