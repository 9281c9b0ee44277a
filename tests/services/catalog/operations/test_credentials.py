"""Workspaces, judges and JWTs."""

import pytest

from assay.catalog.v1 import connections_pb2 as pb
from services.catalog.admin import signed
from services.catalog.entities.workspaces import Judge
from shared.errors import Invalid, NotFound
from shared.ids import canonical_id, new_id
from tests.services.catalog.house import ISSUERS, House


async def test_a_jwt_opens_its_workspace_though_no_command_made_it(house: House) -> None:
    """A trusted issuer may name workspaces of its own."""
    metadata = (("authorization", f"Bearer {signed(ISSUERS, new_id(), ('studio',), 1)}"),)
    request = pb.CreateConnectionRequest(name="echo", kind=pb.Connection.builtin, model="echo")
    made = await house.connections.CreateConnection(request, metadata=metadata)
    listed = await house.connections.ListConnections(pb.ListConnectionsRequest(), metadata=metadata)
    assert [item.id for item in listed.items] == [made.id]


async def test_a_judge_is_an_openai_connection_of_the_workspace(house: House) -> None:
    credentials = house.rooms.credentials
    builtin, theirs = await house.a_connection(), await house.a_connection(house.them, kind="openai", base_url="http://l.test/v1")
    with pytest.raises(Invalid, match="must be of the kind openai"):
        await credentials.set_judge(house.us.workspace, Judge(canonical_id(builtin.id)))
    with pytest.raises(NotFound, match="connection"):
        await credentials.set_judge(house.us.workspace, Judge(canonical_id(theirs.id)))
    with pytest.raises(NotFound, match="workspace"):
        await credentials.set_judge(new_id(), Judge())


async def test_credentials_belong_to_a_workspace_that_exists(house: House) -> None:
    for attempt in (house.rooms.credentials.new_token, house.rooms.credentials.new_pair):
        with pytest.raises(NotFound, match="workspace"):
            await attempt(new_id(), ())


def test_a_jwt_needs_an_issuer_with_a_key() -> None:
    for issuers in ("", "[]"):
        with pytest.raises(Invalid, match="shared key"):
            signed(issuers, new_id(), (), 1)
