"""What the catalog remembers: all of its SQL, a file per resource."""
