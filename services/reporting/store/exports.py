"""Results as they are exported: by keyset, a bounded number of bytes at a time."""

from services.reporting.entities.runs import Run
from services.reporting.export import Exported
from services.reporting.store.results import BLOCK_ORDS
from shared.postgres import Connection

ROWS = 1000
BYTES = 2 << 20


async def next_block(connection: Connection, run: Run, after: int) -> int | None:
    """The first block after this one that has results."""
    found: int | None = await connection.fetchval(
        "SELECT min(block) FROM result_blocks WHERE workspace_id = $1 AND run_id = $2 AND block > $3", run.workspace_id, run.id, after
    )
    return found


def start_of(block: int) -> tuple[int, str]:
    """The place before a block's first result."""
    return block * BLOCK_ORDS - 1, ""


async def page(connection: Connection, run: Run, block: int, after: tuple[int, str]) -> list[Exported]:
    """A block's results that follow (ord, evaluator): at most 1,000, and about 2 MB unless a single one is longer."""
    # Within one block, so that a planner that sorts instead of following the index sorts no more than that.
    rows = await connection.fetch(
        """
        SELECT question, expected_response, actual_response, status, score, reasoning, execution_time_ms, error, ord, evaluator
        FROM (
          SELECT question, expected_response, actual_response, status, score, reasoning, execution_time_ms, error, ord, evaluator,
                 sum(octet_length(question) + octet_length(expected_response) + coalesce(octet_length(actual_response), 0)
                     + coalesce(octet_length(reasoning), 0))
                   OVER (ORDER BY ord, evaluator ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
          FROM (SELECT * FROM results WHERE workspace_id = $1 AND run_id = $2 AND (ord, evaluator) > ($3, $4) AND ord < $5
                ORDER BY ord, evaluator LIMIT $6) AS next_rows
        ) AS weighed
        WHERE coalesce(bytes_before, 0) < $7 ORDER BY ord, evaluator
        """,
        run.workspace_id,
        run.id,
        *after,
        (block + 1) * BLOCK_ORDS,
        ROWS,
        BYTES,
    )
    return [Exported(*row) for row in rows]
