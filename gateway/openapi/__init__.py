"""One OpenAPI 3.1 document for everything that the gateway serves, written from the protos and their comments."""
