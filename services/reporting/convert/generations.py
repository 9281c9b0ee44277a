"""Generations as the catalog reads them."""

from collections.abc import Iterator, Sequence

from assay.reporting.internal.v1 import reporting_pb2 as pb
from services.reporting.convert.times import timestamp
from services.reporting.entities.families import Generation
from shared.json_values import struct
from shared.portions import portions

BATCH_BYTES = 1 << 20


def generation(found: Generation) -> pb.Generation:
    """One generation."""
    return pb.Generation(
        id=str(found.run_id),
        test_case_id=str(found.test_case_id),
        prompt_version_id=str(found.version_id or ""),
        status=found.status,
        output=found.output,
        error=found.failure,
        latency_ms=found.latency_ms,
        usage=None if found.usage is None else struct(found.usage),
        created_at=timestamp(found.created_at),
        completed_at=timestamp(found.completed_at),
    )


def batches(found: Sequence[Generation]) -> Iterator[pb.GenerationBatch]:
    """Batches of about 1 MB, unless a single generation is larger."""
    for part in portions(map(generation, found), pb.Generation.ByteSize, BATCH_BYTES):
        yield pb.GenerationBatch(generations=part)
