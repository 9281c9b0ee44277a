"""The cases of datasets: rows of test_cases like those of test sets, read by `test_cases.batch_at` too.

Whoever adds cases has called `datasets.next_revision` in the same transaction, and so holds the dataset's lock.
"""

from collections.abc import Sequence

from services.catalog.entities.dataset_cases import DatasetCase
from shared.postgres import Connection as Sql


async def insert(sql: Sql, cases: Sequence[DatasetCase], revision: int) -> None:
    """Adds rows that are current from this revision on.

    The revision is their place too: ids alone are in order of creation within one process only.
    """
    await sql.copy_records_to_table(
        "test_cases",
        records=[
            (
                case.workspace_id,
                case.dataset_id,
                case.id,
                revision,
                case.question,
                case.expected,
                "",
                0.0,
                [],
                revision,
                case.content,
                case.created_at,
                case.created_at,
            )
            for case in cases
        ],
        columns=(
            "workspace_id",
            "test_set_id",
            "id",
            "from_rev",
            "question",
            "expected_response",
            "test_method",
            "passing_score",
            "keywords",
            "position",
            "content",
            "created_at",
            "updated_at",
        ),
    )
