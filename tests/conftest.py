"""Fixtures that every test may ask for; see tests/servers.py."""

pytest_plugins = ["tests.servers"]
