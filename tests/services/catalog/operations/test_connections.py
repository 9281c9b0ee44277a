"""Operations on connections that no RPC reaches, and their races."""

import asyncio

import grpc

from assay.catalog.v1 import connections_pb2
from services.catalog.__main__ import now
from services.catalog.operations.connections import Connections
from services.catalog.operations.targets import Targets
from services.catalog.secrets_box import KeyRing
from shared.ids import canonical_id
from tests.services.catalog.house import House


async def test_secrets_are_sealed_anew_with_the_newest_key(house: House) -> None:
    old, both = KeyRing({"1": b"o" * 32}), KeyRing({"1": b"o" * 32, "2": b"n" * 32})
    made = await house.a_connection()
    connection_id = canonical_id(made.id)
    await Connections(house.database, old, now).update(house.us.workspace, connection_id, {}, "sk-1")
    rotating = Connections(house.database, both, now)
    assert (await rotating.reseal(), await rotating.reseal()) == (1, 0)
    access = await Targets(house.database, KeyRing({"2": b"n" * 32})).access(house.us.workspace, connection_id)
    assert access.api_key == "sk-1"


async def test_a_connection_is_never_lost_under_a_context_that_is_being_made(house: House) -> None:
    """Whoever is first wins: either the context is refused, or the delete is."""

    async def answered(call: object) -> grpc.StatusCode:
        try:
            await call  # type: ignore[misc]
        except grpc.aio.AioRpcError as refusal:
            return refusal.code()
        return grpc.StatusCode.OK

    for _ in range(8):
        made = await house.a_connection()
        delete = connections_pb2.DeleteConnectionRequest(connection_id=made.id)
        codes = await asyncio.gather(
            answered(house.a_context(connection_id=made.id)),
            answered(house.connections.DeleteConnection(delete, metadata=house.us.metadata)),
        )
        assert tuple(codes) in {(grpc.StatusCode.OK, grpc.StatusCode.ABORTED), (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK)}
