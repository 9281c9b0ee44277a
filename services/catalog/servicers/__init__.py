"""What the catalog is asked: a file per gRPC service."""
