"""Tests of the services, room for room."""
