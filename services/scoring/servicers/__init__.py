"""What scoring is asked over gRPC."""
