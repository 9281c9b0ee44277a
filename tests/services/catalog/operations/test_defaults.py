"""What a workspace falls back on."""

import asyncio
from uuid import UUID

import grpc
import pytest

from assay.catalog.v1 import connections_pb2
from services.catalog.entities.workspaces import Simulator
from services.catalog.operations.defaults import Defaults
from shared.errors import Invalid, NotFound
from shared.ids import new_id
from tests.services.catalog.assistants import Assistants
from tests.services.catalog.house import House, refused


@pytest.fixture
def defaults(house: House) -> Defaults:
    return Defaults(house.database, house.rooms.credentials.now)


async def delete(house: House, connection_id: str) -> None:
    request = connections_pb2.DeleteConnectionRequest(connection_id=connection_id)
    await house.connections.DeleteConnection(request, metadata=house.us.metadata)


async def test_an_echo_is_made_once_when_it_is_first_needed(house: House) -> None:
    assistants = Assistants(house)
    made = await asyncio.gather(*(assistants.made() for _ in range(8)))
    [used] = {assistant.connection_id for assistant in made}
    listed = await house.connections.ListConnections(connections_pb2.ListConnectionsRequest(), metadata=house.us.metadata)
    [default] = listed.items
    assert (default.id, default.name, default.kind, default.model) == (used, "default", connections_pb2.Connection.builtin, "echo")


async def test_what_was_set_is_used(house: House, defaults: Defaults) -> None:
    connection = await house.a_connection(kind="openai", base_url="http://llm.test/v1")
    await defaults.set_connection(house.us.workspace, UUID(connection.id))
    assistants = Assistants(house)
    assert (await assistants.made()).connection_id == connection.id
    assert (await assistants.made(assistants.house.them)).connection_id != connection.id


async def test_another_default_leaves_the_versions_that_are_there(house: House, defaults: Defaults) -> None:
    assistants = Assistants(house)
    made = await assistants.made()
    await defaults.set_connection(house.us.workspace, UUID((await house.a_connection()).id))
    assert (await assistants.updated(made.id, instructions="new")).connection_id == made.connection_id


async def test_the_default_and_the_simulated_user_keep_their_connections(house: House, defaults: Defaults) -> None:
    default = await house.a_connection()
    await defaults.set_connection(house.us.workspace, UUID(default.id))
    with refused(grpc.StatusCode.ABORTED, "the connection is the workspace's default"):
        await delete(house, default.id)
    user = await house.a_connection(kind="openai", base_url="http://llm.test/v1", model="small")
    await defaults.set_simulator(house.us.workspace, Simulator(UUID(user.id)))
    with refused(grpc.StatusCode.ABORTED, "the connection is the workspace's simulated user"):
        await delete(house, user.id)
    await defaults.set_simulator(house.us.workspace, Simulator())
    await delete(house, user.id)


async def test_only_a_connection_of_the_workspace_can_be_set(house: House, defaults: Defaults) -> None:
    theirs = UUID((await house.a_connection(house.them)).id)
    for unknown in (new_id(), theirs):
        with pytest.raises(NotFound, match="connection"):
            await defaults.set_connection(house.us.workspace, unknown)
        with pytest.raises(NotFound, match="connection"):
            await defaults.set_simulator(house.us.workspace, Simulator(unknown))


async def test_an_echo_can_not_play_the_user(house: House, defaults: Defaults) -> None:
    echo = UUID((await house.a_connection()).id)
    with pytest.raises(Invalid, match="must be of the kind openai"):
        await defaults.set_simulator(house.us.workspace, Simulator(echo))
