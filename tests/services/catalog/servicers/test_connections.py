"""assay.catalog.v1.ConnectionService."""

import grpc
import pytest

from assay.catalog.v1 import connections_pb2 as pb
from services.catalog.entities.workspaces import Judge
from shared.ids import canonical_id
from tests.services.catalog.house import House, http_code, invalid, not_found, refused


async def update(house: House, connection_id: str, **said: object) -> pb.Connection:
    request = pb.UpdateConnectionRequest(connection_id=connection_id, **said)  # type: ignore[arg-type]
    answer: pb.Connection = await house.connections.UpdateConnection(request, metadata=house.us.metadata)
    return answer


async def test_a_connection_is_made_and_read(house: House) -> None:
    made = await house.a_connection(name="llm", kind="openai", base_url="https://llm.test/v1/", model="small", api_key="sk-1")
    assert (made.name, made.kind, made.base_url, made.model) == ("llm", pb.Connection.openai, "https://llm.test/v1", "small")
    assert (made.max_concurrency, made.timeout_ms, made.has_secret) == (8, 60_000, True)
    assert not made.HasField("requests_per_minute")
    assert made.created_at == made.updated_at
    assert await house.connections.GetConnection(pb.GetConnectionRequest(connection_id=made.id), metadata=house.us.metadata) == made
    assert "sk-1" not in str(made)


async def test_a_create_answers_201_and_a_delete_204(house: House) -> None:
    request = pb.CreateConnectionRequest(name="echo", kind=pb.Connection.builtin, model="echo")
    assert await http_code(house.connections.CreateConnection(request, metadata=house.us.metadata)) == "201"
    made = await house.a_connection()
    delete = pb.DeleteConnectionRequest(connection_id=made.id)
    assert await http_code(house.connections.DeleteConnection(delete, metadata=house.us.metadata)) == "204"
    with not_found("connection"):
        await house.connections.GetConnection(pb.GetConnectionRequest(connection_id=made.id), metadata=house.us.metadata)


async def test_each_wrong_field_of_a_create_is_named(house: House) -> None:
    request = pb.CreateConnectionRequest(kind=17, timeout_ms=0, api_key="a b")  # type: ignore[arg-type]
    with invalid(
        "name: must not be empty; kind: must be one of openai, http, grpc, builtin; timeout_ms: must be from 1 to 600000; api_key"
    ):
        await house.connections.CreateConnection(request, metadata=house.us.metadata)


async def test_the_secret_is_in_the_database_only_encrypted(house: House) -> None:
    made = await house.a_connection(api_key="sk-geheim")
    async with house.database.connection() as sql:
        row = await sql.fetchrow("SELECT * FROM connections WHERE id = $1", canonical_id(made.id))
    assert row is not None
    assert "geheim" not in str(tuple(row.values()))
    assert row["secret_key_id"] == "1"


async def test_an_update_leaves_what_it_does_not_name(house: House) -> None:
    made = await house.a_connection(kind="openai", base_url="https://llm.test/v1", model="small", api_key="sk-1", requests_per_minute=5)
    changed = await update(house, made.id, name="other", timeout_ms=1)
    assert changed.updated_at.ToNanoseconds() > made.updated_at.ToNanoseconds()
    made.name, made.timeout_ms = "other", 1
    made.updated_at.CopyFrom(changed.updated_at)
    assert changed == made


async def test_an_empty_text_clears(house: House) -> None:
    made = await house.a_connection(kind="openai", base_url="https://llm.test/v1", model="small", api_key="sk-1")
    changed = await update(house, made.id, model="", api_key="")
    assert not changed.HasField("model")
    assert not changed.has_secret


async def test_a_secret_stays_with_the_server_that_it_was_given_for(house: House) -> None:
    made = await house.a_connection(kind="openai", base_url="https://llm.test/v1", model="small", api_key="sk-1")
    assert (await update(house, made.id, base_url="https://llm.test/other/v1")).has_secret
    assert not (await update(house, made.id, base_url="https://llm.test:8443/v1")).has_secret
    assert (await update(house, made.id, base_url="http://mine.test/v1", api_key="sk-2")).has_secret


async def test_the_kind_changes_with_all_that_it_needs(house: House) -> None:
    made = await house.a_connection(kind="openai", base_url="https://llm.test/v1")
    with invalid("base_url: must be absent for builtin"):
        await update(house, made.id, kind="builtin")
    changed = await update(house, made.id, kind="builtin", base_url="", model="echo")
    assert (changed.kind, changed.HasField("base_url")) == (pb.Connection.builtin, False)


async def test_a_list_is_paged_oldest_first(house: House) -> None:
    made = [(await house.a_connection(name=str(number))).id for number in range(3)]
    await house.a_connection(house.them)
    pages = []
    for page in (1, 2, 3):
        request = pb.ListConnectionsRequest(page=page, page_size=2)
        answer = await house.connections.ListConnections(request, metadata=house.us.metadata)
        assert (answer.total, answer.page, answer.page_size, answer.total_pages) == (3, page, 2, 2)
        pages.append([item.id for item in answer.items])
    assert pages == [made[:2], made[2:], []]


async def test_an_empty_list_has_no_pages(house: House) -> None:
    answer = await house.connections.ListConnections(pb.ListConnectionsRequest(), metadata=house.us.metadata)
    assert answer == pb.ListConnectionsResponse(total=0, page=1, page_size=20, total_pages=0)


@pytest.mark.parametrize(("field", "said"), [("page", {"page": 0}), ("page_size", {"page_size": 101}), ("page_size", {"page_size": 0})])
async def test_a_wrong_page_is_named(house: House, field: str, said: dict[str, int]) -> None:
    with invalid(f"{field}: must be from"):
        await house.connections.ListConnections(pb.ListConnectionsRequest(**said), metadata=house.us.metadata)


async def test_a_connection_in_use_is_kept(house: House) -> None:
    made = await house.a_connection()
    await house.a_context(connection_id=made.id)
    delete = pb.DeleteConnectionRequest(connection_id=made.id)
    with refused(grpc.StatusCode.ABORTED, "the connection is used by 1 context"):
        await house.connections.DeleteConnection(delete, metadata=house.us.metadata)


async def test_the_judges_connection_is_kept(house: House) -> None:
    made = await house.a_connection(kind="openai", base_url="https://llm.test/v1")
    await house.rooms.credentials.set_judge(house.us.workspace, Judge(canonical_id(made.id)))
    with refused(grpc.StatusCode.ABORTED, "judge"):
        await house.connections.DeleteConnection(pb.DeleteConnectionRequest(connection_id=made.id), metadata=house.us.metadata)


@pytest.mark.parametrize("connection_id", ["none", "", "019a0000-0000-7000-8000-000000000009", "%"])
async def test_an_unknown_connection_is_not_found(house: House, connection_id: str) -> None:
    with not_found("connection"):
        await house.connections.GetConnection(pb.GetConnectionRequest(connection_id=connection_id), metadata=house.us.metadata)
    with not_found("connection"):
        await update(house, connection_id, name="x")
    with not_found("connection"):
        await house.connections.DeleteConnection(pb.DeleteConnectionRequest(connection_id=connection_id), metadata=house.us.metadata)
