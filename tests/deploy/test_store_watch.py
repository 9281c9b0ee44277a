"""The store of NATS, removed while it runs."""

import shutil
from pathlib import Path

import pytest

from deploy.local.store_watch import StoreWatch


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "nats" / "jetstream" / "$G" / "streams" / "EVENTS" / "msgs").mkdir(parents=True)
    return tmp_path / "nats"


def test_a_store_that_stays_is_not_lost(store: Path) -> None:
    watch = StoreWatch(store)
    assert not watch.is_lost(0.1)
    (store / "jetstream" / "$G" / "streams" / "WORK" / "msgs").mkdir(parents=True)
    assert not watch.is_lost(5)


@pytest.mark.parametrize("removed", [".", "jetstream", "jetstream/$G/streams/EVENTS"])
def test_a_folder_that_was_seen_and_is_gone_is_lost(store: Path, removed: str) -> None:
    watch = StoreWatch(store)
    watch.is_lost(0.1)
    shutil.rmtree(store / removed)
    assert watch.is_lost(0.2)


def test_another_folder_in_the_same_place_is_lost(store: Path) -> None:
    watch = StoreWatch(store)
    watch.is_lost(0.1)
    store.rename(store.with_name("old"))
    shutil.copytree(store.with_name("old"), store)
    assert watch.is_lost(0.2)


def test_a_server_gets_a_second_to_make_its_folder(tmp_path: Path) -> None:
    watch = StoreWatch(tmp_path / "nats")
    assert not watch.is_lost(0.5)
    assert watch.is_lost(1.5)


def test_the_next_run_may_have_another_store(store: Path) -> None:
    watch = StoreWatch(store)
    watch.is_lost(0.1)
    shutil.rmtree(store)
    (store / "jetstream").mkdir(parents=True)
    watch.forget()
    assert not watch.is_lost(0.1)
