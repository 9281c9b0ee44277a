"""Family C: what is to be generated."""

from uuid import UUID

from assay.runner.v1 import prompt_test_case_runs_pb2 as pb
from shared.errors import Invalid
from shared.ids import canonical_id, parse_id


def wanted(request: pb.RunPromptTestCaseRequest) -> tuple[UUID, UUID]:
    """(case id, version id). Raises NotFound for a malformed path, Invalid for a malformed body."""
    case_id = parse_id(request.id, "test case")
    try:
        return case_id, canonical_id(request.prompt_version_id)
    except ValueError:
        raise Invalid({"promptVersionId": "must be a UUID" if request.prompt_version_id else "is required"}) from None
