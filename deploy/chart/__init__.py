"""The Kubernetes chart, and what writes its README."""
