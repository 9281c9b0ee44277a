"""Executed cases in, scores out, each once: on real Postgres, with real peers and a judge that speaks the real protocol."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from google.protobuf import json_format

from assay.catalog.internal.v1 import catalog_pb2
from assay.runner.internal.v1 import events_pb2, runner_pb2
from services.scoring import operations
from services.scoring.embedding import Embedder
from services.scoring.operations import hear_runs_deleted, remove_deleted, score_executed
from shared import inbox
from shared.postgres import Database, open_pool
from shared.topics import CASES_EXECUTED
from tests.servers import PostgresServer
from tests.services.scoring.chat_server import ChatServer, refusal
from tests.services.scoring.events import Facts, a_case, again, heard
from tests.services.scoring.house import SCORED_AT, House, a_house
from tests.shared.waiting import until


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.create(["scoring"])["scoring"]


@pytest.fixture
async def house(url: str, embedder: Embedder) -> AsyncIterator[House]:
    async with a_house(url, embedder) as house:
        await house.execute("TRUNCATE tries")
        yield house


def judged(ord_: int = 0, output: str = "It takes five days.") -> events_pb2.ExecutedCase:
    return a_case(ord_, output, test_method="semantic_quality")


# Each once


async def test_an_event_is_scored_stored_and_told(house: House) -> None:
    run = Facts()
    await score_executed(house.parts, heard(run.executed(a_case(0), a_case(1, "six days"))))
    assert await house.stored(run) == ["passed", "failed"]
    [told] = await house.told(run)
    assert [(each.executed.question, each.scores[0].value) for each in told.cases] == [("question 0", 1.0), ("question 1", 0.0)]
    assert told.cases[0].scores[0].scored_at.ToDatetime(SCORED_AT.tzinfo) == SCORED_AT
    [workspace] = set(await house.fetch("SELECT workspace_id FROM scores WHERE run_id = $1", run.id))
    assert workspace == run.workspace


async def test_every_test_method_is_scored(house: House) -> None:
    run = Facts()
    methods = ["exact_match", "keyword_match", "similarity", "semantic_quality", "gut_feeling"]
    cases = [a_case(n, test_method=method, keywords=["five"]) for n, method in enumerate(methods)]
    await score_executed(house.parts, heard(run.executed(*cases)))
    [told] = await house.told(run)
    assert [each.scores[0].evaluator for each in told.cases] == methods
    found = [(each.scores[0].status, each.scores[0].method) for each in told.cases]
    assert found == [
        ("passed", "deterministic"),
        ("passed", "deterministic"),
        ("passed", "embedding"),
        ("passed", "heuristic_fallback"),
        ("error", "deterministic"),
    ]


async def test_an_event_that_comes_again_has_no_effect(house: House) -> None:
    run = Facts()
    events = heard(run.executed(a_case()))
    await score_executed(house.parts, events)
    await score_executed(house.parts, again(events))
    assert await house.statuses(run) == [(0, "passed")]
    assert await house.tries() == []


async def test_an_event_that_comes_twice_in_one_batch_has_one_effect(house: House) -> None:
    run = Facts()
    events = heard(run.executed(a_case()))
    await score_executed(house.parts, [*events, *again(events)])
    assert await house.statuses(run) == [(0, "passed")]


async def test_an_event_that_comes_twice_at_once_has_one_effect(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    events = heard(run.executed(judged()), run.executed(a_case(1)))
    await asyncio.gather(*(score_executed(house.parts, each) for each in (events, again(events), events[::-1])))
    assert await house.statuses(run) == [(0, "passed"), (1, "passed")]


async def test_four_of_everything_in_any_order_has_one_effect(house: House) -> None:
    runs = [Facts() for _ in range(4)]
    events = heard(*(run.executed(a_case(n), a_case(n + 1)) for run in runs for n in range(0, 20, 2)))
    delivered = [replace(event, deliveries=n) for event in events for n in (1, 2, 3, 4)]
    random.Random(11).shuffle(delivered)  # noqa: S311 no secret
    batches = [delivered[start : start + 16] for start in range(0, len(delivered), 16)]
    for pair in zip(batches[::2], batches[1::2], strict=True):
        await asyncio.gather(*(score_executed(house.parts, batch) for batch in pair))
    for run in runs:
        assert await house.statuses(run) == [(n, "passed") for n in range(20)]
    assert await house.tries() == []


async def test_a_batch_that_cant_be_written_has_no_half_effect(house: House) -> None:
    run = Facts()
    [good, bad] = heard(run.executed(a_case(0)), run.executed(a_case(1, case_id="no id")))
    with pytest.raises(ValueError, match="badly formed"):
        await score_executed(house.parts, [good, bad])
    assert (await house.stored(run), await house.told(run)) == ([], [])
    await score_executed(house.parts, [good])
    assert await house.statuses(run) == [(0, "passed")]


async def test_workspaces_in_one_batch_keep_their_own_scores(house: House) -> None:
    runs = [Facts() for _ in range(3)]
    await score_executed(house.parts, heard(*(run.executed(a_case()) for run in (*runs, runs[0]))))
    rows = await house.fetch("SELECT run_id, workspace_id FROM scores WHERE run_id = ANY($1)", [run.id for run in runs])
    assert sorted(rows) == sorted((run.id, run.workspace) for run in runs)


# Errors and long texts


async def test_an_error_keeps_its_error_and_stays_counted(house: House) -> None:
    run = Facts()
    refused = a_case(0, None, error="HTTP 500: no", execution_time_ms=None, attempts=3)
    await score_executed(house.parts, heard(run.executed(refused, a_case(1))))
    assert await house.statuses(run) == [(0, "error"), (1, "passed")]
    [told] = await house.told(run)
    assert (told.cases[0].scores[0].error, told.cases[0].scores[0].HasField("value")) == ("HTTP 500: no", False)
    assert told.cases[0].executed == refused


async def test_an_empty_answer_is_an_answer(house: House) -> None:
    run = Facts()
    await score_executed(house.parts, heard(run.executed(a_case(0, ""))))
    assert await house.statuses(run) == [(0, "failed")]


async def test_long_texts_are_fetched_and_stay_out_of_the_event(house: House) -> None:
    run, text = Facts(), "A long text. " * 1_000
    long = [a_case(n, None, question="", expected="", texts_by_id=True) for n in (1, 2)]
    house.runner.keeps(
        run,
        runner_pb2.CaseTexts(ord=1, question="q", expected=text, output=text),
        runner_pb2.CaseTexts(ord=2, question="q", expected=text, output="short"),
    )
    await score_executed(house.parts, heard(run.executed(a_case(0), *long)))
    assert house.runner.asked == [[1, 2]]
    assert await house.statuses(run) == [(0, "passed"), (1, "passed"), (2, "failed")]
    assert [list(each.cases)[1].executed for each in await house.told(run)] == [long[0]]


async def test_a_long_case_without_an_answer_keeps_its_error(house: House) -> None:
    run = Facts()
    house.runner.keeps(run, runner_pb2.CaseTexts(ord=0, question="long", expected="long"))
    await score_executed(house.parts, heard(run.executed(a_case(0, None, texts_by_id=True, error="timed out"))))
    assert [each.scores[0].error for told in await house.told(run) for each in told.cases] == ["timed out"]


async def test_long_texts_of_a_deleted_run_are_missed_by_nobody(house: House) -> None:
    run = Facts()
    await score_executed(house.parts, heard(run.executed(a_case(0, None, texts_by_id=True), a_case(1))))
    assert await house.statuses(run) == [(0, "error"), (1, "passed")]


async def test_texts_of_another_workspace_are_never_read(house: House) -> None:
    run, other = Facts(), Facts()
    house.runner.keeps(run, runner_pb2.CaseTexts(ord=0, question="q", expected="e", output="e"))
    impostor = Facts(id=run.id, workspace=other.workspace)
    await score_executed(house.parts, heard(impostor.executed(a_case(0, None, texts_by_id=True))))
    assert await house.statuses(run) == [(0, "error")]


# Judges


async def test_a_judge_gives_the_verdict_and_says_how(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    await score_executed(house.parts, heard(run.executed(judged())))
    [told] = await house.told(run)
    score = told.cases[0].scores[0]
    assert (score.status, score.method, score.value) == ("passed", "llm_judge", 1.0)
    provenance = json_format.MessageToDict(score.details)["provenance"]
    assert (provenance["model"], provenance["cache_hit"]) == ("judge-1", False)
    assert server.authorizations == {"Bearer s3cret"}
    assert "s3cret" not in str(told)


async def test_the_same_question_is_judged_once(house: House, server: ChatServer) -> None:
    run, later = Facts(), Facts()
    later = replace(later, workspace=run.workspace)
    house.catalog.judges_for(run, server.base_url)
    await score_executed(house.parts, heard(run.executed(judged())))
    await score_executed(house.parts, heard(later.executed(judged())))
    assert len(server.requests) == 1
    assert house.catalog.asked == [str(run.workspace)]
    [told] = await house.told(later)
    assert json_format.MessageToDict(told.cases[0].scores[0].details)["provenance"]["cache_hit"] is True


async def test_judged_events_commit_one_by_one(house: House, server: ChatServer) -> None:
    run, quick = Facts(), Facts()
    house.catalog.judges_for(run, server.base_url)
    server.passes = asyncio.Semaphore(0)
    events = heard(*(run.executed(judged(n, f"Some {n} days.")) for n in range(6)), quick.executed(a_case()))
    task = asyncio.create_task(score_executed(house.parts, events))

    async def are_told(facts: Facts, count: int) -> bool:
        return len(await house.told(facts)) == count

    await until(lambda: are_told(quick, 1))
    assert await are_told(run, 0)
    server.passes.release()
    await until(lambda: are_told(run, 1))
    for _ in range(20):  # more than are asked, should one have to be asked again
        server.passes.release()
    await task
    assert await are_told(run, 6)


async def test_a_judge_without_a_verdict_is_an_error_of_its_case(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    server.answers = [refusal(403)]
    await score_executed(house.parts, heard(run.executed(judged(0), a_case(1))))
    assert await house.statuses(run) == [(0, "error"), (1, "passed")]


@pytest.mark.parametrize("status", [400, 401, 503])
async def test_a_judge_that_echoes_its_header_leaks_no_key(house: House, server: ChatServer, status: int) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    server.answers = [lambda: web.Response(status=status, text="Authorization: Bearer s3cret is not known here")]
    await score_executed(house.parts, heard(run.executed(judged(output=f"{status} days"))))
    [told] = await house.told(run)
    assert f"answered {status}: Authorization: Bearer •••" in told.cases[0].scores[0].error
    rows = await house.fetch("SELECT s::text FROM scores s UNION ALL SELECT o::text FROM outbox o")
    assert rows
    assert not any("s3cret" in row or b"s3cret".hex() in row for row in rows)
    assert "s3cret" not in str(told)


async def test_what_a_hostile_judge_says_is_stored_all_the_same(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    verdict = '"answers_question":true,"consistent_with_expected":true,"complete":true,"no_contradiction":true}'
    server.answers = ['{"reasoning":"' + reasoning + '",' + verdict for reasoning in ("a\\u0000b", "a\\ud800b", "x" * 900_000)]
    for n in range(3):
        await score_executed(house.parts, heard(run.executed(judged(n, f"{n} days"))))
    assert await house.statuses(run) == [(0, "passed"), (1, "passed"), (2, "passed")]
    assert all(told.ByteSize() < 16_384 for told in await house.told(run))


async def test_a_judge_that_is_required_and_missing_leaves_cases_unscored(house: House) -> None:
    run, other = Facts(), Facts()
    house.catalog.judges[str(run.workspace)] = catalog_pb2.JudgeSettings(require_judge=True)
    await score_executed(house.parts, heard(run.executed(judged(0), a_case(1)), other.executed(judged(0, "five days"))))
    assert await house.statuses(run) == [(0, "unscored"), (1, "passed")]
    assert await house.statuses(other) == [(0, "passed")]
    [told] = await house.told(run)
    assert told.cases[0].scores[0].error == "the workspace requires a judge and has none"


async def test_who_needs_no_judge_asks_for_none(house: House) -> None:
    run = Facts()
    house.catalog.away = True
    await score_executed(house.parts, heard(run.executed(a_case())))
    assert (await house.statuses(run), house.catalog.asked) == ([(0, "passed")], [])


# Deleted runs


async def test_scores_of_a_deleted_run_are_removed_and_late_ones_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "REMOVE_ROWS", 2)
    gone, stays = Facts(), Facts()
    await score_executed(house.parts, heard(*(run.executed(*map(a_case, range(5))) for run in (gone, stays))))
    deletion = heard(gone.deleted())
    await hear_runs_deleted(house.parts.database, deletion)
    await hear_runs_deleted(house.parts.database, again(deletion))
    removing = asyncio.create_task(remove_deleted(house.parts.database, 0.05))
    await _until_gone(house, gone)
    await score_executed(house.parts, heard(gone.executed(a_case(9))))
    await _until_gone(house, gone)
    removing.cancel()
    assert len(await house.stored(stays)) == 5


async def _until_gone(house: House, run: Facts) -> None:
    async with asyncio.timeout(20):
        while await house.stored(run):  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0.02)


async def test_removing_outlives_an_outage_of_postgres(url: str) -> None:
    pool = await open_pool(url, 1)
    await pool.close()
    removing = asyncio.create_task(remove_deleted(Database(pool), 0.01))
    await asyncio.sleep(0.1)
    assert not removing.done()
    removing.cancel()


async def test_what_took_effect_is_in_the_inbox(house: House) -> None:
    events = heard(Facts().executed(a_case()), Facts().executed(a_case()))
    await score_executed(house.parts, events[:1])
    async with house.parts.database.connection() as connection:
        assert await inbox.untaken(connection, CASES_EXECUTED, [event.seq for event in events]) == {events[1].seq}
