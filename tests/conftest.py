"""Fixtures that every test may ask for; see tests/servers.py."""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.servers"]

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SUITE = "tests/suite/"
# Each with a stack of its own, which it hurts.
FAULTS = ("tests/suite/test_faults.py", "tests/suite/test_schedules.py", "tests/suite/test_backup.py")
# These wait for leases and lost events: begun first, they end while the others use the cores.
SLOWEST = (*FAULTS, SUITE, "tests/deploy/test_stack.py")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Gives a worker whole files, and the whole suite to one: its tests share a stack."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return SUITE if file.startswith(SUITE) and file not in FAULTS else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Says which tests stay together on one worker."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the slowest."""
    items.sort(key=_place)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A fresh UUID among a test's arguments must not be in its name: all workers have to collect the same names."""
    return "a UUID" if isinstance(val, str) and UUID_TEXT.fullmatch(val) else None


def _place(item: pytest.Item) -> int:
    return next((index for index, prefix in enumerate(SLOWEST) if item.nodeid.startswith(prefix)), len(SLOWEST))
