"""Tests of what a run asks."""
