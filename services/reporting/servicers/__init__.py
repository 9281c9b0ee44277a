"""What was asked: one file per gRPC service."""
