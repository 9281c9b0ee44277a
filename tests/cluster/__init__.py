"""The built images, run as the chart says, against Postgres and three NATS servers: see README.md."""
