"""What the owners of runs and test sets tell."""

from assay.reporting.internal.v1 import reporting_pb2 as pb, reporting_pb2_grpc
from services.reporting.operations.forgetting import Forgetting
from services.reporting.operations.learning import RUN
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context


class ReportingInternalServicer(reporting_pb2_grpc.ReportingInternalServiceServicer):
    """Hides what was deleted before its owner answers."""

    def __init__(self, forgetting: Forgetting) -> None:
        self._forgetting = forgetting

    async def Forget(self, request: pb.ForgetRequest, context: Context) -> pb.ForgetResponse:  # noqa: ARG002 gRPC's signature
        runs = [parse_id(run_id, RUN) for run_id in request.run_ids]
        subjects = [parse_id(subject_id, "subject") for subject_id in request.subject_ids]
        await self._forgetting.forget(workspace(), runs, subjects)
        return pb.ForgetResponse()
