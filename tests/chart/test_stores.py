"""The Secrets, the SQL and the Job of the documentation bring a real Postgres to where the services can start."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.local import binaries, postgres as pg
from tests.chart.rendering import EXAMPLES, ROOT, SERVICES, TOOLS, Document, render
from tests.servers import PostgresServer

MODELS = Path(__file__).parent / "models"


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


def faults_of_postgres(documents: list[Document]) -> list[str]:
    """What the schemas of CloudNativePG say."""
    command = ["node", str(MODELS / "examine.mjs"), str(TOOLS / "models")]
    done = subprocess.run(command, input=json.dumps(documents), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def example_of_postgres() -> list[Document]:
    return list(yaml.safe_load_all((EXAMPLES / "postgres.yaml").read_text()))


def test_the_example_of_postgres_fits_the_schemas_of_its_operator() -> None:
    assert [document["kind"] for document in example_of_postgres()] == ["Cluster", "ObjectStore", "ScheduledBackup"]
    assert faults_of_postgres(example_of_postgres()) == []


@pytest.mark.parametrize(
    ("document", "path", "value", "fault"),
    [
        (0, ["spec", "instancez"], 3, "Cluster/spec/instancez: unknown"),
        (0, ["spec", "postgresql", "synchronous", "method"], "some", "Cluster/spec/postgresql/synchronous/method: enum"),
        (0, ["spec", "postgresql", "parameters", "max_connections"], 1000, "Cluster/spec/postgresql/parameters/max_connections: type"),
        (0, ["spec", "resources", "limit"], {}, "Cluster/spec/resources/limit: unknown"),
        (1, ["spec", "configuration", "s3Credentials", "accessKeyId", "nam"], "a", "ObjectStore/s3Credentials/accessKeyId/nam: unknown"),
        (2, ["spec", "method"], "plug-in", "ScheduledBackup/spec/method: enum"),
    ],
)
def test_a_fault_in_it_is_found(document: int, path: list[str], value: object, fault: str) -> None:
    documents = example_of_postgres()
    place = documents[document]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (found,) = faults_of_postgres(documents)
    assert found.startswith(fault)


def test_the_parts_of_the_example_of_postgres_name_each_other() -> None:
    cluster, store, backup = example_of_postgres()
    (plugin,) = cluster["spec"]["plugins"]
    assert plugin["parameters"]["barmanObjectName"] == store["metadata"]["name"]
    assert backup["spec"]["cluster"]["name"] == cluster["metadata"]["name"]
    assert backup["spec"]["pluginConfiguration"]["name"] == plugin["name"]
    (to,) = yaml.safe_load((EXAMPLES / "production.yaml").read_text())["networkPolicy"]["postgres"]["to"]
    assert to["podSelector"]["matchLabels"] == {"cnpg.io/cluster": cluster["metadata"]["name"]}


def test_nats_takes_what_its_example_adds_to_its_configuration(tmp_path: Path) -> None:
    text = (EXAMPLES / "nats.yaml").read_text()
    config = yaml.safe_load(re.sub(r"<< (.*?) >>", r'"<\1>"', text))["config"]
    added = {**config["merge"], "jetstream": {"store_dir": str(tmp_path), **config["jetstream"]["merge"]}}
    file = tmp_path / "nats.conf"
    file.write_text(re.sub(r'"<(.*?)>"', r"\1", json.dumps(added)))  # as the chart does: without quotes
    command = [binaries.script("nats-server"), "-t", "-c", str(file)]
    environment = {**os.environ, "ASSAY_PASSWORD": "any"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
