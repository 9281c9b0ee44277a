"""The embedded stack: real Postgres, NATS and Envoy from PyPI wheels, and the four services, on loopback."""
