"""Scoring: judges what a target answered."""
