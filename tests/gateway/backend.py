"""A backend for the gateway to stand in front of: real gRPC over the real protos, told what to answer by the ids in a call."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import any_pb2, empty_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from assay.catalog.internal.v1 import catalog_pb2, catalog_pb2_grpc
from assay.catalog.v1 import files_pb2, files_pb2_grpc, test_cases_pb2, test_cases_pb2_grpc, test_sets_pb2, test_sets_pb2_grpc
from assay.reporting.v1 import reports_pb2_grpc
from assay.runner.v1 import runs_pb2, runs_pb2_grpc
from shared import tls
from shared.server import OPTIONS

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Call:
    """What reached the backend."""

    rpc: str
    request: Any
    metadata: Mapping[str, str]
    seconds: float | None
    """Time that was left when it came; None: no deadline."""


@dataclass
class Log:
    """The calls that reached the backend, in order, and how its streams ended."""

    calls: list[Call] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    """Until it is set, the call for "held" is not answered."""

    @property
    def last(self) -> Call:
        """The newest call."""
        return self.calls[-1]

    def take(self, rpc: str, request: Message, context: Context) -> None:
        """Remembers a call."""
        metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        self.calls.append(Call(rpc, request, metadata, context.time_remaining()))


def not_found() -> tuple[tuple[str, bytes], ...]:
    """The trailer of a rich status, as the services send it."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="ERROR_REASON_NOT_FOUND", domain="assay"))
    status = status_pb2.Status(code=5, message="test set not found", details=[detail])
    return (("grpc-status-details-bin", status.SerializeToString()),)


class TestSets(test_sets_pb2_grpc.TestSetServiceServicer):
    __test__ = False

    def __init__(self, log: Log) -> None:
        self.log = log

    async def CreateTestSet(self, request: test_sets_pb2.CreateTestSetRequest, context: Context) -> test_sets_pb2.TestSet:
        self.log.take("CreateTestSet", request, context)
        await context.send_initial_metadata((("x-http-code", "201"), ("x-assay-secret", "1")))
        return test_sets_pb2.TestSet(id="1", name=request.name)

    async def ListTestSets(self, request: test_sets_pb2.ListTestSetsRequest, context: Context) -> test_sets_pb2.ListTestSetsResponse:
        self.log.take("ListTestSets", request, context)
        return test_sets_pb2.ListTestSetsResponse()

    async def GetTestSet(self, request: test_sets_pb2.GetTestSetRequest, context: Context) -> test_sets_pb2.TestSet:
        self.log.take("GetTestSet", request, context)
        match request.test_set_id:
            case "missing":
                await context.abort(grpc.StatusCode.NOT_FOUND, "test set not found", not_found())
            case "busy":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests", (("retry-after", "7"),))
            case "conflict":
                await context.abort(grpc.StatusCode.ABORTED, "in use")
            case "verbose":
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "x" * 3500)
            case "too verbose":
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "x" * 16_000)
            case "stopping":
                await context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")
            case "slow":
                await asyncio.sleep(30)
            case "held":
                await asyncio.to_thread(self.log.released.wait, 60)
        return test_sets_pb2.TestSet(id=request.test_set_id)

    async def UpdateTestSet(self, request: test_sets_pb2.UpdateTestSetRequest, context: Context) -> test_sets_pb2.TestSet:
        self.log.take("UpdateTestSet", request, context)
        return test_sets_pb2.TestSet(id=request.test_set_id)

    async def DeleteTestSet(self, request: test_sets_pb2.DeleteTestSetRequest, context: Context) -> empty_pb2.Empty:
        self.log.take("DeleteTestSet", request, context)
        await context.send_initial_metadata((("x-http-code", "204"),))
        return empty_pb2.Empty()


class TestCases(test_cases_pb2_grpc.TestCaseServiceServicer):
    __test__ = False

    def __init__(self, log: Log) -> None:
        self.log = log

    async def CreateTestCase(self, request: test_cases_pb2.CreateTestCaseRequest, context: Context) -> test_cases_pb2.TestCase:
        self.log.take("CreateTestCase", request, context)
        return test_cases_pb2.TestCase(id="1")

    async def UpdateTestCase(self, request: test_cases_pb2.UpdateTestCaseRequest, context: Context) -> test_cases_pb2.TestCase:
        self.log.take("UpdateTestCase", request, context)
        return test_cases_pb2.TestCase(id=request.case_id)

    async def ListTestCases(self, request: test_cases_pb2.ListTestCasesRequest, context: Context) -> test_cases_pb2.ListTestCasesResponse:
        self.log.take("ListTestCases", request, context)
        return test_cases_pb2.ListTestCasesResponse()

    async def UploadCsv(self, request: test_cases_pb2.UploadCsvRequest, context: Context) -> test_cases_pb2.UploadCsvResponse:
        self.log.take("UploadCsv", request, context)
        return test_cases_pb2.UploadCsvResponse(created_count=len(request.file.data))


class Files(files_pb2_grpc.FileServiceServicer):
    def __init__(self, log: Log) -> None:
        self.log = log

    async def UploadFile(self, request: files_pb2.UploadFileRequest, context: Context) -> files_pb2.UploadFileResponse:
        self.log.take("UploadFile", request, context)
        size = len(request.file.data)
        if size > 10 * 1024 * 1024 + 1024:  # of which some are the multipart wrapping
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the file is larger than 10 MB", (("x-http-code", "413"),))
        return files_pb2.UploadFileResponse(size_bytes=size, file_mime_type=request.file.content_type)

    async def GetFile(self, request: files_pb2.GetFileRequest, context: Context) -> HttpBody:
        self.log.take("GetFile", request, context)
        await context.send_initial_metadata(
            (("content-disposition", 'attachment; filename="a.png"'), ("x-content-type-options", "nosniff"))
        )
        return HttpBody(content_type="image/png", data=b"\x89PNG\x00\xff")


class Reports(reports_pb2_grpc.ReportServiceServicer):
    def __init__(self, log: Log) -> None:
        self.log = log

    async def StreamRunEvents(self, request: Any, context: Context) -> AsyncIterator[HttpBody]:
        self.log.take("StreamRunEvents", request, context)
        if request.run_id == "missing":
            await context.abort(grpc.StatusCode.NOT_FOUND, "run not found")
        if request.run_id == "over":
            await context.send_initial_metadata((("x-http-code", "204"),))
            return
        try:
            for number in range(1, 4):
                yield HttpBody(content_type="text/event-stream", data=b"id: %d\nevent: case.scored\ndata: {}\n\n" % number)
                await asyncio.sleep(0.3)
            if request.run_id == "endless":
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.log.cancelled.set()
            raise

    async def ExportResults(self, request: Any, context: Context) -> AsyncIterator[HttpBody]:
        self.log.take("ExportResults", request, context)
        await context.send_initial_metadata((("content-disposition", 'attachment; filename="run.csv"'),))
        for number in range(100):
            yield HttpBody(content_type="text/csv; charset=utf-8", data=b"question,expected\r\n" * 1000)
            if request.run_id == "breaking" and number == 2:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the database is not reachable")


class Runs(runs_pb2_grpc.RunServiceServicer):
    def __init__(self, log: Log, name: str) -> None:
        self.log = log
        self.name = name

    async def StartRun(self, request: runs_pb2.StartRunRequest, context: Context) -> runs_pb2.Run:
        self.log.take("StartRun", request, context)
        return runs_pb2.Run(id=self.name)

    async def CancelRun(self, request: runs_pb2.CancelRunRequest, context: Context) -> runs_pb2.Run:
        self.log.take("CancelRun", request, context)
        return runs_pb2.Run(id=self.name)


class Internal(catalog_pb2_grpc.CatalogInternalServiceServicer):
    def __init__(self, log: Log) -> None:
        self.log = log

    async def Authenticate(self, request: catalog_pb2.AuthenticateRequest, context: Context) -> catalog_pb2.Principal:
        self.log.take("Authenticate", request, context)
        return catalog_pb2.Principal(workspace_id="1")


class Backend:
    """gRPC servers in a thread and an event loop of their own, all of which serve everything and share one log."""

    def __init__(self) -> None:
        self.log = Log()
        self._servers: dict[int, grpc.aio.Server] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="backend")
        self._thread.start()

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    @property
    def first(self) -> int:
        """The port of the server that was started first."""
        return next(iter(self._servers))

    def start(self, port: int = 0, files: tls.Files | None = None) -> int:
        """Starts a server on a loopback port, by default any free one, and returns the port. With `files` it serves TLS."""
        chosen: int = self._wait(self._start(port, files))
        return chosen

    def stop(self, port: int) -> None:
        """Stops the server on this port at once, as a crash would."""
        self._wait(self._servers.pop(port).stop(None))

    def close(self) -> None:
        """Stops every server and the thread."""
        for port in list(self._servers):
            self.stop(port)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self, port: int, files: tls.Files | None) -> int:
        server = grpc.aio.server(options=OPTIONS)
        test_sets_pb2_grpc.add_TestSetServiceServicer_to_server(TestSets(self.log), server)
        test_cases_pb2_grpc.add_TestCaseServiceServicer_to_server(TestCases(self.log), server)  # type: ignore[abstract]
        files_pb2_grpc.add_FileServiceServicer_to_server(Files(self.log), server)
        reports_pb2_grpc.add_ReportServiceServicer_to_server(Reports(self.log), server)  # type: ignore[abstract]
        catalog_pb2_grpc.add_CatalogInternalServiceServicer_to_server(Internal(self.log), server)  # type: ignore[abstract]
        checked = health.aio.HealthServicer()
        for name in ("catalog", "reporting", "runner", "scoring"):
            await checked.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(checked, server)
        place = f"127.0.0.1:{port}"
        port = server.add_secure_port(place, tls.server_credentials(files)) if files else server.add_insecure_port(place)
        runs_pb2_grpc.add_RunServiceServicer_to_server(Runs(self.log, str(port)), server)  # type: ignore[abstract]
        await server.start()
        self._servers[port] = server
        return port
