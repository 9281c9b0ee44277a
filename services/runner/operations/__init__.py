"""What can be done with runs, a file per stage of a run's life."""
