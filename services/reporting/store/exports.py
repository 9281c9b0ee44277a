"""Results as they are exported: by keyset, a bounded number of bytes at a time."""

from services.reporting.entities import Run
from services.reporting.export import Exported
from shared.postgres import Connection

ROWS = 1000
BYTES = 2 << 20
START = (-1, "")


async def page(connection: Connection, run: Run, after: tuple[int, str]) -> list[Exported]:
    """Results that follow (ord, evaluator): at most 1,000, and no more than fit in 2 MB unless a single one is longer."""
    rows = await connection.fetch(
        """
        SELECT question, expected_response, actual_response, status, score, reasoning, execution_time_ms, error, ord, evaluator
        FROM (
          SELECT question, expected_response, actual_response, status, score, reasoning, execution_time_ms, error, ord, evaluator,
                 sum(octet_length(question) + octet_length(expected_response) + coalesce(octet_length(actual_response), 0)
                     + coalesce(octet_length(reasoning), 0))
                   OVER (ORDER BY ord, evaluator ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
          FROM (SELECT * FROM results WHERE workspace_id = $1 AND run_id = $2 AND (ord, evaluator) > ($3, $4)
                ORDER BY ord, evaluator LIMIT $5) AS next_rows
        ) AS weighed
        WHERE coalesce(bytes_before, 0) < $6 ORDER BY ord, evaluator
        """,
        run.workspace_id,
        run.id,
        *after,
        ROWS,
        BYTES,
    )
    return [Exported(*row) for row in rows]
