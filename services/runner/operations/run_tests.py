"""Family B: executions of run tests."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from assay.runner.v1 import chat_calls_pb2, run_test_executions_pb2 as pb
from services.runner.clients import Catalog
from services.runner.convert import run_tests as convert
from services.runner.operations import opening
from services.runner.operations.opening import Accepting
from services.runner.store import calls
from shared.idempotency import Effect, Key, answered, once
from shared.postgres import Connection, Database

TRIGGERED_BY = "api"


@dataclass(frozen=True)
class Execution:
    """What is to be executed, for whom and when, and the key under which the answer is kept."""

    workspace: UUID
    run_test_id: UUID
    scenario_ids: tuple[str, ...]
    key: Key | None
    now: datetime


async def execute(database: Database, catalog: Catalog, asked: Execution) -> pb.ExecuteRunTestResponse:
    """Starts an execution of a run test. Passes on the catalog's refusals; raises EmptySet."""
    known = await answered(database, asked.key, pb.ExecuteRunTestResponse)
    if known is not None:
        return known
    opened = await opening.read(catalog, asked.workspace, convert.wanted(asked.run_test_id, asked.scenario_ids))

    async def accept(connection: Connection) -> pb.ExecuteRunTestResponse:
        run = await opening.begin(connection, opened, Accepting(asked.workspace, TRIGGERED_BY, asked.now))
        return convert.execution(run)

    return await once(database, asked.key, Effect(pb.ExecuteRunTestResponse, accept))


async def execute_as_chat(database: Database, catalog: Catalog, asked: Execution) -> chat_calls_pb2.StartChatExecutionResponse:
    """Starts an execution that the client drives: its calls wait to be handed out. Refusals as in `execute`."""
    known = await answered(database, asked.key, chat_calls_pb2.StartChatExecutionResponse)
    if known is not None:
        return known
    request = convert.wanted(asked.run_test_id, asked.scenario_ids, client_driven=True)
    opened = await opening.read(catalog, asked.workspace, request)

    async def accept(connection: Connection) -> chat_calls_pb2.StartChatExecutionResponse:
        run = await opening.begin(connection, opened, Accepting(asked.workspace, TRIGGERED_BY, asked.now))
        await calls.insert(connection, run)
        return convert.chat_execution(run)

    return await once(database, asked.key, Effect(chat_calls_pb2.StartChatExecutionResponse, accept))
