"""The Secrets, the SQL and the Job of the documentation bring a real Postgres to where the services can start."""

import os
import re
import subprocess
import sys

import yaml

from deploy.local import binaries, postgres as pg
from tests.chart.rendering import EXAMPLES, ROOT, SERVICES, render
from tests.servers import PostgresServer


def psql(postgres: PostgresServer, database: str, *arguments: str) -> str:
    """Runs psql as the owner."""
    place = ["--host=127.0.0.1", f"--port={postgres.cluster.port}", f"--username={pg.OWNER}", f"--dbname={database}", "--no-psqlrc", "-qtA"]
    environment = {**os.environ, "PGPASSWORD": postgres.cluster.password}
    command = [binaries.postgres("psql"), *place, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_roles_then_migrations_make_every_schema(postgres: PostgresServer) -> None:
    passwords = {service: f"{service}-password" for service in SERVICES}
    database = postgres.create([])[pg.OWNER].rpartition("/")[2]
    roles = [*(f"--set={name}={value}" for name, value in passwords.items()), f"--file={EXAMPLES / 'roles.sql'}"]
    try:
        psql(postgres, database, *roles)
        psql(postgres, database, *roles)  # as often as you like
        urls = {name: f"{postgres.cluster.url(pg.role_of(name), passwords[name], database)}?sslmode=disable" for name in SERVICES}
        job = render("defaults").workload("migrations").container
        told = {entry["name"]: urls[entry["valueFrom"]["secretKeyRef"]["key"].removesuffix("-url")] for entry in job["env"]}
        command = [sys.executable, "-m", "deploy.docker.service", *job["args"]]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **told}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for service in SERVICES:
            assert int(psql(postgres, database, f"--command=SELECT count(*) FROM {service}.schema_migrations")) > 0
        assert psql(postgres, database, "--command=SELECT has_schema_privilege('assay_runner', 'catalog', 'USAGE')").strip() == "f"
    finally:
        pg.create_roles(postgres.cluster, postgres.passwords)  # other tests of the session log in with these


def test_the_example_of_nats_says_what_the_services_need() -> None:
    text = (EXAMPLES / "nats.yaml").read_text()
    values = yaml.safe_load(re.sub(r"<< (.*?) >>", r'"\1"', text))
    assert values["config"]["jetstream"]["merge"] == {"sync_interval": "always"}
    assert values["config"]["cluster"]["replicas"] == int(str(render("production").variables("runner")["ASSAY_NATS_REPLICAS"]))
    (port,) = {
        trigger["metadata"]["natsServerMonitoringEndpoint"].rpartition(":")[2]
        for scaler in render("production").of("ScaledObject")
        for trigger in scaler["spec"]["triggers"]
    }
    assert values["config"]["monitor"]["port"] == int(port)
