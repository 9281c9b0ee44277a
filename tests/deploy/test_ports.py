"""Ports: the wanted one, the last one, the usual one, else any."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import ports
from deploy.local.plan import choose_ports
from deploy.local.settings import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports.any_free()))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not ports.is_free(taken)


def test_any_free_leaves_out_what_is_promised_already() -> None:
    first = ports.any_free()
    assert ports.any_free({first}) != first


def test_what_one_process_was_given_no_other_gets(tmp_path: Path) -> None:
    asked = "from deploy.local import ports; print(*(ports.any_free() for _ in range(50)))"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    processes = [subprocess.Popen([sys.executable, "-c", asked], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    given = [port for process in processes for port in process.communicate(timeout=60)[0].split()]
    assert len(set(given)) == len(given) == 150


def test_every_listener_gets_a_port_of_its_own() -> None:
    chosen = choose_ports(Settings(runners=3, scorers=2), {}, running=False)
    assert len(set(chosen.values())) == len(chosen)
    assert {"gateway", "envoy-admin", "postgres", "nats", "nats-monitor", "runner-3", "scoring-2-metrics"} <= chosen.keys()


def test_the_last_ports_are_taken_again() -> None:
    first = choose_ports(Settings(), {}, running=False)
    assert choose_ports(Settings(), first, running=False) == first


def test_a_wanted_port_wins_over_the_last() -> None:
    first = choose_ports(Settings(), {}, running=False)
    wanted = ports.any_free(set(first.values()))
    assert choose_ports(Settings(ports={"gateway": wanted}), first, running=False)["gateway"] == wanted


def test_a_port_taken_by_somebody_else_is_passed_over(taken: int) -> None:
    assert choose_ports(Settings(ports={"gateway": taken}), {}, running=False)["gateway"] != taken
    assert choose_ports(Settings(), {"gateway": taken}, running=False)["gateway"] != taken


def test_a_running_stack_keeps_the_ports_that_it_holds_itself(taken: int) -> None:
    assert choose_ports(Settings(), {"gateway": taken}, running=True)["gateway"] == taken
    assert choose_ports(Settings(ports={"gateway": taken}), {"gateway": taken}, running=True)["gateway"] == taken
