"""The REST gateway: an Envoy configuration rendered from the protos, and what Envoy can't say in Lua."""
