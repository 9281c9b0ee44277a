"""What the other services ask of the catalog."""

from uuid import UUID

import grpc
import pytest

from assay.catalog.internal.v1 import catalog_pb2 as pb
from assay.catalog.v1 import connections_pb2, test_cases_pb2
from services.catalog.entities.workspaces import Judge
from tests.services.catalog.house import House, invalid, not_found, refused


async def stream(house: House, set_id: str, revision: int) -> list[pb.CaseBatch]:
    request = pb.StreamCasesRequest(test_set_id=set_id, revision=revision)
    return [batch async for batch in house.internal.StreamCases(request, metadata=house.as_service())]


async def questions(house: House, set_id: str, revision: int) -> list[str]:
    return [case.question for batch in await stream(house, set_id, revision) for case in batch.cases]


async def resolve(house: House, set_id: str, context_id: str) -> pb.ResolvedTarget:
    request = pb.ResolveTargetRequest(test_set_id=set_id, context_id=context_id)
    answer: pb.ResolvedTarget = await house.internal.ResolveTarget(request, metadata=house.as_service())
    return answer


async def test_a_token_is_authenticated(house: House) -> None:
    principal = await house.internal.Authenticate(pb.AuthenticateRequest(token=house.us.token), metadata=house.identity.metadata())
    assert (principal.workspace_id, list(principal.scopes)) == (str(house.us.workspace), ["studio"])
    assert principal.credential_id


async def test_a_pair_is_authenticated_by_both_of_its_keys(house: House) -> None:
    api_key, secret_key, _ = await house.rooms.credentials.new_pair(house.us.workspace, ("studio",))
    for sent, known in ((secret_key, True), ("sk_wrong", False)):
        request = pb.AuthenticateRequest(api_key=api_key, secret_key=sent)
        principal = await house.internal.Authenticate(request, metadata=house.identity.metadata())
        assert bool(principal.workspace_id) == known


async def test_a_revoked_token_is_nobodys(house: House) -> None:
    token, credential = await house.rooms.credentials.new_token(house.us.workspace, ("studio",))
    await house.rooms.credentials.revoke(credential)
    principal = await house.internal.Authenticate(pb.AuthenticateRequest(token=token), metadata=house.identity.metadata())
    assert principal == pb.Principal()


async def test_users_do_not_get_in(house: House) -> None:
    with refused(grpc.StatusCode.UNAUTHENTICATED):
        await house.internal.ReadJudge(pb.ReadJudgeRequest(), metadata=house.us.metadata)


async def test_a_target_is_resolved_with_its_set(house: House) -> None:
    connection = await house.a_connection(
        name="llm", kind="openai", base_url="http://llm.test/v1/", model="small", api_key="sk-1", requests_per_minute=60
    )
    context = await house.a_context(connection_id=connection.id, statement="Be brief.", model="large", parameters={"temperature": 0})
    made = await house.a_set(context_id=context.id, mode="independent", language="de")
    await house.a_case(made.id)
    resolved = await resolve(house, made.id, context.id)
    assert (resolved.revision, resolved.case_count, resolved.mode, resolved.language) == (1, 1, "independent", "de")
    target = resolved.target
    assert (target.connection_id, target.connection_revision, target.kind) == (connection.id, 1, "openai")
    assert (target.base_url, target.model, target.statement) == ("http://llm.test/v1", "large", "Be brief.")
    assert (target.max_concurrency, target.requests_per_minute, target.timeout_ms) == (8, 60, 60_000)
    assert dict(target.parameters) == {"temperature": 0}
    assert "sk-1" not in str(resolved)


async def test_an_unknown_set_or_context_has_no_target(house: House) -> None:
    made = await house.a_set()
    theirs = await house.a_set(house.them)
    with not_found("test set"):
        await resolve(house, theirs.id, made.context_id)
    with not_found("context"):
        await resolve(house, made.id, theirs.context_id)


async def test_a_context_whose_model_its_connection_lost_has_no_target(house: House) -> None:
    connection = await house.a_connection(kind="openai", base_url="http://llm.test/v1", model="small")
    made = await house.a_set(context_id=(await house.a_context(connection_id=connection.id, model="large")).id)
    change = connections_pb2.UpdateConnectionRequest(
        connection_id=connection.id, kind=connections_pb2.Connection.builtin, base_url="", model="echo"
    )
    await house.connections.UpdateConnection(change, metadata=house.us.metadata)
    with invalid("model"):
        await resolve(house, made.id, made.context_id)


async def test_cases_are_streamed_as_a_revision_held_them(house: House) -> None:
    made = await house.a_set()
    first, second = [await house.a_case(made.id, question=text, order=place) for text, place in (("one", 2), ("two", 1))]
    edit = test_cases_pb2.UpdateTestCaseRequest(test_set_id=made.id, case_id=first.id, question="one, edited", order=0)
    await house.cases.UpdateTestCase(edit, metadata=house.us.metadata)
    delete = test_cases_pb2.DeleteTestCaseRequest(test_set_id=made.id, case_id=second.id)
    await house.cases.DeleteTestCase(delete, metadata=house.us.metadata)
    await house.a_case(made.id, question="three")
    held = [await questions(house, made.id, revision) for revision in range(6)]
    assert held == [[], ["one"], ["two", "one"], ["one, edited", "two"], ["one, edited"], ["one, edited", "three"]]


async def test_a_stream_carries_all_that_a_run_keeps(house: House) -> None:
    made = await house.a_set()
    case = await house.a_case(
        made.id,
        test_method="keyword_match",
        passing_score=0.5,
        keywords=["a", "b"],
        file_url="https://files.test/a.png",
        file_mime_type="image/png",
    )
    (batch,) = await stream(house, made.id, 1)
    assert list(batch.cases) == [
        pb.Case(
            id=case.id,
            question="Why?",
            expected="Because.",
            test_method="keyword_match",
            passing_score=0.5,
            keywords=["a", "b"],
            file_url="https://files.test/a.png",
            file_mime_type="image/png",
        )
    ]


async def test_batches_stay_near_a_megabyte(house: House) -> None:
    made = await house.a_set()
    for size in (600_000, 300_000, 600_000, 2_000_000, 5):
        await house.a_case(made.id, question="x" * size)
    batches = [[len(case.question) for case in batch.cases] for batch in await stream(house, made.id, 5)]
    assert batches == [[600_000, 300_000], [600_000], [2_000_000], [5]]


async def test_cases_of_an_unknown_set_are_not_found(house: House) -> None:
    theirs = await house.a_set(house.them)
    with not_found("test set"):
        await stream(house, theirs.id, 1)


async def test_a_set_is_checked(house: House) -> None:
    made, theirs = await house.a_set(), await house.a_set(house.them)
    await house.internal.CheckTestSet(pb.CheckTestSetRequest(test_set_id=made.id), metadata=house.as_service())
    with not_found("test set"):
        await house.internal.CheckTestSet(pb.CheckTestSetRequest(test_set_id=theirs.id), metadata=house.as_service())


async def test_a_connection_is_read_with_its_secret(house: House) -> None:
    made = await house.a_connection(kind="openai", base_url="http://llm.test/v1", model="m", api_key="sk-1", timeout_ms=5)
    access = await house.internal.ReadConnection(pb.ReadConnectionRequest(connection_id=made.id), metadata=house.as_service())
    assert access == pb.ConnectionAccess(
        revision=1, base_url="http://llm.test/v1", api_key="sk-1", max_concurrency=8, requests_per_minute=0, timeout_ms=5
    )


async def test_another_workspace_never_gets_a_secret(house: House) -> None:
    made = await house.a_connection(api_key="sk-1")
    with not_found("connection"):
        request = pb.ReadConnectionRequest(connection_id=made.id)
        await house.internal.ReadConnection(request, metadata=house.as_service(house.them))


async def test_a_workspace_has_no_judge_at_first(house: House) -> None:
    settings = await house.internal.ReadJudge(pb.ReadJudgeRequest(), metadata=house.as_service())
    assert settings == pb.JudgeSettings()


@pytest.mark.parametrize(("model", "expected"), [(None, "small"), ("large", "large")])
async def test_the_judge_is_read_with_its_secret(house: House, model: str | None, expected: str) -> None:
    made = await house.a_connection(kind="openai", base_url="http://llm.test/v1", model="small", api_key="sk-1")
    await house.rooms.credentials.set_judge(house.us.workspace, Judge(UUID(made.id), model, required=True))
    settings = await house.internal.ReadJudge(pb.ReadJudgeRequest(), metadata=house.as_service())
    assert (settings.judge.api_key, settings.model, settings.require_judge) == ("sk-1", expected, True)
    theirs = await house.internal.ReadJudge(pb.ReadJudgeRequest(), metadata=house.as_service(house.them))
    assert not theirs.HasField("judge")
