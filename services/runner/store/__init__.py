"""What is remembered: the runner's SQL, a file per resource."""
