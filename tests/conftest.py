"""Fixtures that every test may ask for; see tests/servers.py."""

import re

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.servers"]

# A busy machine makes an example slow, not wrong. Here, for each `@given` takes what holds when its file is read.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SUITE = "tests/suite/"
# Each with a stack of its own, which it hurts or which is set up in its own way.
FAULTS = tuple(f"{SUITE}test_{name}.py" for name in ("faults", "schedules", "backup", "shared_run", "traces"))
# A worker and a stack beside that of the rest of the suite: both take minutes.
FAMILIES = tuple(f"{SUITE}test_{name}" for name in ("famil", "openapi", "official", "simulations"))
# The longest first, one for each worker; what waits for leases, minutes and lost events ends while the others use the cores.
LONGEST = (FAULTS[0], FAMILIES[0], SUITE, FAULTS[1])


def _together(nodeid: str) -> str:
    """What a test stays together with on one worker: its file; the suite, in two halves, since the tests of each share a stack."""
    file = nodeid.partition("::")[0]
    if file in FAULTS or not file.startswith(SUITE):
        return file
    return FAMILIES[0] if file.startswith(FAMILIES) else SUITE


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Gives a worker all that stays together."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Says which tests stay together on one worker."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the slowest."""
    items.sort(key=_place)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A fresh UUID among a test's arguments must not be in its name: all workers have to collect the same names."""
    return "a UUID" if isinstance(val, str) and UUID_TEXT.fullmatch(val) else None


def _place(item: pytest.Item) -> tuple[int, bool]:
    together = _together(item.nodeid)
    longest = LONGEST.index(together) if together in LONGEST else len(LONGEST)
    return longest, not together.startswith((SUITE, "tests/deploy/"))
