"""The Kubernetes chart, rendered and examined without a cluster; `make chart-test` runs these."""
