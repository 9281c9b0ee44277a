"""The demo: two versions of a small answerer, evaluated and compared through the gateway, as a newcomer would do it."""
