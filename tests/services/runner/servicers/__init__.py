"""Tests of what the runner is asked."""
