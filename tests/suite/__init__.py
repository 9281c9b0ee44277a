"""The whole stack, driven through the gateway."""
