"""Tests of the transactions of a run's life."""
