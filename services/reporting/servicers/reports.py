"""Every read about runs."""

import contextlib
from collections.abc import AsyncGenerator

from google.api.httpbody_pb2 import HttpBody

from assay.reporting.v1 import reports_pb2 as pb, reports_pb2_grpc
from assay.runner.v1 import runs_pb2
from services.reporting import export, sse
from services.reporting.convert import messages
from services.reporting.entities.results import status_filter
from services.reporting.operations.comparing import compare_runs
from services.reporting.operations.exporting import export_results
from services.reporting.operations.following import Following
from services.reporting.operations.learning import RUN
from services.reporting.operations.reading import TEST_SET_KIND, Reading
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.pages import PageRequest, page_request
from shared.postgres import Database
from shared.server import answer_with


class ReportServicer(reports_pb2_grpc.ReportServiceServicer):
    """Answers from the projection."""

    def __init__(self, database: Database, reading: Reading, following: Following) -> None:
        self._database, self._reading, self._following = database, reading, following

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> runs_pb2.Run:  # noqa: ARG002 gRPC's signature
        return messages.run(await self._reading.run(workspace(), parse_id(request.run_id, RUN)))

    async def ListResults(self, request: pb.ListResultsRequest, context: Context) -> pb.ListResultsResponse:  # noqa: ARG002 the same
        wanted = _page_request(request)
        status = status_filter(request.status if request.HasField("status") else None)
        return messages.results(await self._reading.results(workspace(), parse_id(request.run_id, RUN), status, wanted))

    async def ExportResults(self, request: pb.ExportResultsRequest, context: Context) -> AsyncGenerator[HttpBody, None]:
        run = await self._reading.run(workspace(), parse_id(request.run_id, RUN))
        await context.send_initial_metadata((("content-disposition", f'attachment; filename="run-{run.id}.csv"'),))
        async with contextlib.aclosing(export_results(self._database, run)) as pieces:
            async for data in pieces:
                yield HttpBody(content_type=export.CONTENT_TYPE, data=data)

    async def StreamRunEvents(self, request: pb.StreamRunEventsRequest, context: Context) -> AsyncGenerator[HttpBody, None]:
        sent = [str(value) for name, value in context.invocation_metadata() or () if name == "last-event-id"]
        after = sse.last_event_id(sent[-1] if sent else "")
        run = await self._reading.known(workspace(), parse_id(request.run_id, RUN))
        if run.closed and after >= run.last_seq:
            await answer_with(context, 204)
            return
        async with contextlib.aclosing(self._following.stream(run.workspace_id, run.id, after)) as events:
            async for data in events:
                yield HttpBody(content_type=sse.CONTENT_TYPE, data=data)

    async def ListRunHistory(self, request: pb.ListRunHistoryRequest, context: Context) -> pb.ListRunHistoryResponse:  # noqa: ARG002 the same
        wanted = _page_request(request)
        return messages.history(await self._reading.history(workspace(), parse_id(request.test_set_id, TEST_SET_KIND), wanted))

    async def CompareRuns(self, request: pb.CompareRunsRequest, context: Context) -> pb.Comparison:  # noqa: ARG002 the same
        id_a, id_b = messages.runs_to_compare(request)
        run_a, run_b = await self._reading.run(workspace(), id_a), await self._reading.run(workspace(), id_b)
        return messages.comparison(*await compare_runs(self._database, run_a, run_b))


def _page_request(request: pb.ListResultsRequest | pb.ListRunHistoryRequest) -> PageRequest:
    return page_request(
        request.page if request.HasField("page") else None,
        request.page_size if request.HasField("page_size") else None,
    )
