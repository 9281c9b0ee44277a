"""What was asked: a file per gRPC service."""
