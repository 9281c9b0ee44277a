"""What versions of a prompt made of its test cases, as the catalog is told."""

from typing import Any

import pytest

from assay.reporting.internal.v1 import reporting_pb2 as pb
from services.reporting.store import listings
from shared.ids import new_id
from tests.services.reporting.builders import ENDED_AT, Facts, a_score, judged
from tests.services.reporting.conftest import Bench
from tests.services.reporting.servicers.conftest import Service, as_service


def a_generation(**more: Any) -> Facts:
    return Facts(**{"family": "prompt_test_case", "group_key": str(new_id()), "total": 1, **more})


async def batches(service: Service, run: Facts, *versions: str) -> list[pb.GenerationBatch]:
    request = pb.ListGenerationsRequest(prompt_id=run.group_key, version_ids=versions)
    return [batch async for batch in service.internal.ListGenerations(request, metadata=as_service(run.workspace))]


async def generations(service: Service, run: Facts, *versions: str) -> list[pb.Generation]:
    return [one for batch in await batches(service, run, *versions) for one in batch.generations]


async def test_a_generation_that_succeeded_has_its_output_and_usage(service: Service, bench: Bench) -> None:
    run = a_generation()
    await bench.completed(run, judged(0, output="Bonjour", record={"usage": {"prompt_tokens": 12}, "variables": {}}))
    (found,) = await generations(service, run)
    assert (found.id, found.test_case_id, found.prompt_version_id) == (str(run.id), str(run.test_set), str(run.context))
    assert (found.status, found.output, found.latency_ms, found.usage["prompt_tokens"]) == ("succeeded", "Bonjour", 12, 12)
    assert found.completed_at.ToDatetime() == ENDED_AT.replace(tzinfo=None)
    assert not found.HasField("error")


async def test_one_that_failed_says_why(service: Service, bench: Bench) -> None:
    refusal = a_generation()
    broken, cancelled = (refusal.but(id=new_id()) for _ in range(2))
    case = judged(0, a_score("error", evaluator="recorded", error=None, reason=""), output=None, error="the model refused")
    await bench.completed(refusal, case)
    await bench.projection.runs_finished(bench.numbers.heard(broken.finished(0, "error", reason="no such model")))
    await bench.projection.runs_finished(bench.numbers.heard(cancelled.finished(0, "cancelled")))
    found = await generations(service, refusal)
    assert [(one.status, one.error) for one in found] == [
        ("failed", "the model refused"),
        ("failed", "no such model"),
        ("failed", "it was cancelled"),
    ]
    assert not any(one.HasField("output") or one.HasField("usage") for one in found)


@pytest.mark.parametrize(("state", "status"), [("pending", "initializing"), ("starting", "initializing"), ("running", "running")])
async def test_an_open_one_is_told_as_soon_as_the_runner_knows_it(service: Service, bench: Bench, state: str, status: str) -> None:
    run = a_generation()
    bench.peers.runner.knows(run.state(state))
    (found,) = await generations(service, run)
    assert (found.status, found.HasField("output"), found.HasField("completed_at")) == (status, False, False)


async def test_they_come_oldest_first_and_of_the_versions_that_are_wanted(
    service: Service, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "GENERATIONS_AT_ONCE", 2)
    runs = [a_generation()]
    runs += [runs[0].but(id=new_id(), test_set=new_id(), context=runs[0].context if n % 2 else new_id()) for n in range(5)]
    for run in runs:
        await bench.completed(run, judged(0))
    assert [one.id for one in await generations(service, runs[0])] == [str(run.id) for run in runs]
    assert [one.id for one in await generations(service, runs[0], str(runs[0].context))] == [str(runs[n].id) for n in (0, 2, 4)]
    assert await generations(service, runs[0], str(new_id())) == []
    assert await generations(service, runs[0].but(workspace=new_id())) == []


async def test_long_outputs_are_split_over_batches(service: Service, bench: Bench) -> None:
    run = a_generation()
    for facts in [run, *(run.but(id=new_id()) for _ in range(4))]:
        await bench.completed(facts, judged(0, output="x" * 400_000))
    assert [len(batch.generations) for batch in await batches(service, run)] == [2, 2, 1]


async def test_those_of_a_deleted_test_case_are_gone(service: Service, bench: Bench) -> None:
    run = a_generation()
    await bench.completed(run, judged(0))
    await bench.forgetting.forget(run.workspace, [], [run.test_set])
    assert await generations(service, run) == []
