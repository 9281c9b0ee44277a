"""Asking the other services."""

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from services.reporting import clients
from services.reporting.convert import events as convert
from services.reporting.entities.results import Texts
from shared.errors import Unavailable
from shared.ids import new_id
from tests.services.reporting.builders import Facts, scored
from tests.services.reporting.conftest import Peers


async def test_a_runner_that_is_slow_is_away(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "READ_SECONDS", 0.05)
    peers.runner.delay = 1.0
    with pytest.raises(Unavailable):
        await peers.ask_runner.read_run(new_id(), new_id())


async def test_a_run_is_asked_for_in_the_name_of_its_workspace(peers: Peers) -> None:
    run = Facts(tags=("x",))
    peers.runner.knows(run.state())
    assert await peers.ask_runner.read_run(run.workspace, run.id) == convert.news(run.state())
    assert await peers.ask_runner.read_run(new_id(), run.id) is None


async def test_texts_of_a_deleted_run_are_none(peers: Peers) -> None:
    async with peers.ask_runner.texts(new_id(), new_id(), [1, 2]) as portion:
        assert (portion.texts, portion.rest, portion.deleted) == ({}, [], True)


async def test_peers_that_are_away_are_unavailable(nobody_there: Peers) -> None:
    for call in (
        nobody_there.ask_runner.read_run(new_id(), new_id()),
        nobody_there.ask_runner.open_runs(new_id(), new_id()),
        nobody_there.ask_runner.texts(new_id(), new_id(), [1]).__aenter__(),
        nobody_there.ask_catalog.has_test_set(new_id(), new_id()),
    ):
        with pytest.raises(Unavailable):
            await call


@pytest.mark.parametrize(
    ("details", "judge"),
    [
        ({}, None),
        ({"provenance": {"model": "small", "endpoint": "http://judge/v1", "samples": 1}}, "small at http://judge/v1"),
        ({"provenance": {"endpoint": "http://judge/v1"}}, "http://judge/v1"),
        ({"evidence": []}, None),
    ],
)
def test_who_judged_is_read_from_the_details(details: dict[str, Any], judge: str | None) -> None:
    told = Struct()
    told.update(details)
    (row,) = convert.results(Facts().scored(scored(0, score={"details": told})), {})
    assert row.judge == judge


def test_texts_that_came_by_themselves_win_over_those_in_the_event() -> None:
    event = Facts().scored(scored(0, executed={"texts_by_id": True, "output": None}), scored(1))
    assert convert.long_ords(event) == [0]
    first, second = convert.results(event, {0: Texts("long q", "long e", None)})
    assert (first.question, first.expected_response, first.actual_response) == ("long q", "long e", None)
    assert second.question == "question 1"
