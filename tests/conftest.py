"""Fixtures that every test may ask for; see tests/servers.py."""

import re

import pytest

pytest_plugins = ["tests.servers"]

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FAULTS, SUITE = "tests/suite/test_faults.py", "tests/suite/"
# These wait for leases and lost events: begun first, they end while the others use the cores.
SLOWEST = (FAULTS, SUITE, "tests/deploy/test_stack.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says which tests stay together on one worker (a file; the suite, which shares a stack), and begins with the slowest."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        together = "suite" if file.startswith(SUITE) and file != FAULTS else file
        item.add_marker(pytest.mark.xdist_group(together))
    items.sort(key=_place)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A fresh UUID among a test's arguments must not be in its name: all workers have to collect the same names."""
    return "a UUID" if isinstance(val, str) and UUID_TEXT.fullmatch(val) else None


def _place(item: pytest.Item) -> int:
    return next((index for index, prefix in enumerate(SLOWEST) if item.nodeid.startswith(prefix)), len(SLOWEST))
