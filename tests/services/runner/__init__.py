"""Tests of the runner, room for room."""
