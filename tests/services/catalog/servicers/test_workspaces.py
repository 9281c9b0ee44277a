"""The wall between workspaces: every RPC that names something, by everybody who shouldn't reach it."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from assay.catalog.v1 import connections_pb2, contexts_pb2, files_pb2, test_cases_pb2, test_sets_pb2
from shared.ids import new_id
from tests.services.catalog.house import Caller, House, refused
from tests.services.catalog.servicers.test_csv import HEAD, upload as csv
from tests.services.catalog.servicers.test_files import PNG, id_in, upload as file

Names = dict[str, str]
Call = Callable[[House, Names, Any], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "GetConnection": lambda house, of, who: house.connections.GetConnection(
        connections_pb2.GetConnectionRequest(connection_id=of["connection"]), metadata=who
    ),
    "UpdateConnection": lambda house, of, who: house.connections.UpdateConnection(
        connections_pb2.UpdateConnectionRequest(connection_id=of["connection"], name="x"), metadata=who
    ),
    "DeleteConnection": lambda house, of, who: house.connections.DeleteConnection(
        connections_pb2.DeleteConnectionRequest(connection_id=of["connection"]), metadata=who
    ),
    "CreateContext": lambda house, of, who: house.contexts.CreateContext(
        contexts_pb2.CreateContextRequest(name="x", connection_id=of["connection"]), metadata=who
    ),
    "GetContext": lambda house, of, who: house.contexts.GetContext(contexts_pb2.GetContextRequest(context_id=of["context"]), metadata=who),
    "UpdateContext": lambda house, of, who: house.contexts.UpdateContext(
        contexts_pb2.UpdateContextRequest(context_id=of["context"], name="x"), metadata=who
    ),
    "DeleteContext": lambda house, of, who: house.contexts.DeleteContext(
        contexts_pb2.DeleteContextRequest(context_id=of["context"]), metadata=who
    ),
    "ListTestSets": lambda house, of, who: house.sets.ListTestSets(
        test_sets_pb2.ListTestSetsRequest(context_id=of["context"]), metadata=who
    ),
    "CreateTestSet": lambda house, of, who: house.sets.CreateTestSet(
        test_sets_pb2.CreateTestSetRequest(name="x", context_id=of["context"]), metadata=who
    ),
    "GetTestSet": lambda house, of, who: house.sets.GetTestSet(test_sets_pb2.GetTestSetRequest(test_set_id=of["set"]), metadata=who),
    "UpdateTestSet": lambda house, of, who: house.sets.UpdateTestSet(
        test_sets_pb2.UpdateTestSetRequest(test_set_id=of["set"], name="x"), metadata=who
    ),
    "DeleteTestSet": lambda house, of, who: house.sets.DeleteTestSet(
        test_sets_pb2.DeleteTestSetRequest(test_set_id=of["set"]), metadata=who
    ),
    "ListTestCases": lambda house, of, who: house.cases.ListTestCases(
        test_cases_pb2.ListTestCasesRequest(test_set_id=of["set"]), metadata=who
    ),
    "CreateTestCase": lambda house, of, who: house.cases.CreateTestCase(
        test_cases_pb2.CreateTestCaseRequest(test_set_id=of["set"], question="x", expected_response="x"), metadata=who
    ),
    "UpdateTestCase": lambda house, of, who: house.cases.UpdateTestCase(
        test_cases_pb2.UpdateTestCaseRequest(test_set_id=of["set"], case_id=of["case"], question="x"), metadata=who
    ),
    "DeleteTestCase": lambda house, of, who: house.cases.DeleteTestCase(
        test_cases_pb2.DeleteTestCaseRequest(test_set_id=of["set"], case_id=of["case"]), metadata=who
    ),
    "UploadCsv": lambda house, of, who: house.cases.UploadCsv(csv(of["set"], HEAD + b"x,x\n"), metadata=who),
    "GetFile": lambda house, of, who: house.files.GetFile(files_pb2.GetFileRequest(file_id=of["file"]), metadata=who),
}
NAMELESS: dict[str, Call] = {
    "ListConnections": lambda house, _, who: house.connections.ListConnections(connections_pb2.ListConnectionsRequest(), metadata=who),
    "CreateConnection": lambda house, _, who: house.connections.CreateConnection(
        connections_pb2.CreateConnectionRequest(name="x", kind=connections_pb2.Connection.builtin, model="echo"), metadata=who
    ),
    "ListContexts": lambda house, _, who: house.contexts.ListContexts(contexts_pb2.ListContextsRequest(), metadata=who),
    "UploadFile": lambda house, _, who: house.files.UploadFile(file(PNG), metadata=who),
    "GetCsvTemplate": lambda house, _, who: house.cases.GetCsvTemplate(test_cases_pb2.GetCsvTemplateRequest(), metadata=who),
}
SERVICES = (connections_pb2, contexts_pb2, test_sets_pb2, test_cases_pb2, files_pb2)


async def names_of(house: House, caller: Caller) -> Names:
    made = await house.a_set(caller)
    context = await house.contexts.GetContext(contexts_pb2.GetContextRequest(context_id=made.context_id), metadata=caller.metadata)
    case = await house.cases.CreateTestCase(
        test_cases_pb2.CreateTestCaseRequest(test_set_id=made.id, question="q", expected_response="e"), metadata=caller.metadata
    )
    kept = await house.files.UploadFile(file(PNG), metadata=caller.metadata)
    return {"connection": context.connection_id, "context": context.id, "set": made.id, "case": case.id, "file": id_in(kept)}


async def refusal(call: Awaitable[Any]) -> tuple[Any, ...]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details(), sorted(dict(caught.value.trailing_metadata() or ()).items())


def test_no_rpc_is_left_out() -> None:
    described = {
        method for module in SERVICES for service in module.DESCRIPTOR.services_by_name.values() for method in service.methods_by_name
    }
    assert described == {*CALLS, *NAMELESS}


async def test_another_workspaces_id_answers_like_an_unknown_one(house: House) -> None:
    theirs = await names_of(house, house.them)
    unknown = {kind: str(new_id()) for kind in theirs}
    for name, call in CALLS.items():
        told = [await refusal(call(house, of, house.us.metadata)) for of in (theirs, unknown)]
        assert told[0] == told[1], name
        assert told[0][0] == grpc.StatusCode.NOT_FOUND, name
    case_of_theirs = {**await names_of(house, house.us), "case": theirs["case"]}
    for name in ("UpdateTestCase", "DeleteTestCase"):
        assert (await refusal(CALLS[name](house, case_of_theirs, house.us.metadata)))[1] == "test case not found"


async def test_nothing_of_theirs_was_changed_or_shown(house: House) -> None:
    theirs = await names_of(house, house.them)
    for call in CALLS.values():
        await refusal(call(house, theirs, house.us.metadata))
    for name, call in CALLS.items():
        if name.startswith(("Get", "List")):
            await call(house, theirs, house.them.metadata)
    made = await house.sets.GetTestSet(test_sets_pb2.GetTestSetRequest(test_set_id=theirs["set"]), metadata=house.them.metadata)
    assert (made.name, made.test_case_count) == ("set", 1)
    assert (await house.connections.ListConnections(connections_pb2.ListConnectionsRequest(), metadata=house.us.metadata)).total == 0
    assert (await house.contexts.ListContexts(contexts_pb2.ListContextsRequest(), metadata=house.us.metadata)).total == 0


@pytest.mark.parametrize("name", [*CALLS, *NAMELESS])
async def test_every_rpc_needs_credentials_and_the_scope(house: House, name: str) -> None:
    call = {**CALLS, **NAMELESS}[name]
    nobody = {kind: str(new_id()) for kind in ("connection", "context", "set", "case", "file")}
    with refused(grpc.StatusCode.UNAUTHENTICATED, "credentials are missing"):
        await call(house, nobody, None)
    with refused(grpc.StatusCode.UNAUTHENTICATED, "credentials are not valid"):
        await call(house, nobody, (("authorization", "Bearer assay_wrong"),))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "the scope 'studio' is missing"):
        await call(house, nobody, house.plain.metadata)
    with refused(grpc.StatusCode.UNAUTHENTICATED):
        await call(house, nobody, house.as_service())
