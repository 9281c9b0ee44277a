"""Left out of `make test`: helm and what examines its output are installed by `make chart-test` alone."""

import os

collect_ignore_glob = [] if os.environ.get("ASSAY_CHART_TOOLS") else ["test_*.py"]
