"""Workspaces, keys, judges and defaults from the command line, on the local stack `make admin ARGS="COMMAND"`. Prints one JSON object."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import jwt

from services.catalog.entities.workspaces import Judge, Simulator
from services.catalog.operations.connections import Connections
from services.catalog.operations.credentials import Credentials
from services.catalog.operations.defaults import Defaults
from services.catalog.secrets_box import read_keys
from shared import config
from shared.errors import DomainError, Invalid, Unavailable
from shared.identity import read_issuers
from shared.ids import canonical_id
from shared.postgres import OUTAGES, Database, open_pool, until_migrated

SCHEMA = "0003"
ALL_SCOPES = ("studio",)
JWT_DAYS = 30
DAY_SECONDS = 86_400
CONNECT_SECONDS = 3
PATIENCE_SECONDS = 6
MIGRATED_SECONDS = 10
FAULTS = (DomainError, config.ConfigError, asyncpg.PostgresError, OSError, ValueError)


@dataclass(frozen=True)
class Config:
    """Settings from the environment; the last two where a command needs them."""

    postgres_url: str
    jwt_issuers: str = ""
    encryption_keys: str = ""


@dataclass(frozen=True)
class Desk:
    """Where commands are carried out."""

    credentials: Credentials
    settings: Config

    @property
    def defaults(self) -> Defaults:
        """What workspaces fall back on."""
        return Defaults(self.credentials.database, self.credentials.now)


Answer = dict[str, object]
Command = Callable[[Desk, argparse.Namespace], Awaitable[Answer]]


async def create_workspace(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`workspace create`."""
    return {"workspace_id": str((await desk.credentials.new_workspace(wanted.name)).id)}


async def create_project(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`project create`."""
    return {"project_id": str((await desk.credentials.new_project(wanted.workspace, wanted.name)).id)}


async def create_token(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`token create`: shown this once."""
    token, made = await desk.credentials.new_token(wanted.workspace, wanted.scopes)
    return {"credential_id": str(made), "token": token}


async def create_key(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`key create`: shown this once."""
    api_key, secret_key, made = await desk.credentials.new_pair(wanted.workspace, wanted.scopes)
    return {"credential_id": str(made), "api_key": api_key, "secret_key": secret_key}


async def create_jwt(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`jwt create`."""
    await desk.credentials.require_workspace(wanted.workspace)
    return {"token": signed(desk.settings.jwt_issuers, wanted.workspace, wanted.scopes, wanted.days)}


async def revoke(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`token revoke`, of tokens and pairs alike."""
    await desk.credentials.revoke(wanted.id)
    return {"credential_id": str(wanted.id), "revoked": True}


async def set_judge(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`judge set`; without a connection nobody judges."""
    await desk.credentials.set_judge(wanted.workspace, Judge(wanted.connection, wanted.model, wanted.require))
    connection = str(wanted.connection) if wanted.connection else None
    return {"workspace_id": str(wanted.workspace), "connection_id": connection, "model": wanted.model, "require": wanted.require}


async def set_default_connection(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`default-connection set`: what answers for assistants that name no connection."""
    await desk.defaults.set_connection(wanted.workspace, wanted.connection)
    return {"workspace_id": str(wanted.workspace), "connection_id": str(wanted.connection)}


async def set_simulator(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`simulator set`: the model that plays the simulated user of conversations."""
    await desk.defaults.set_simulator(wanted.workspace, Simulator(wanted.connection, wanted.model))
    return {"workspace_id": str(wanted.workspace), "connection_id": str(wanted.connection), "model": wanted.model}


async def clear_simulator(desk: Desk, wanted: argparse.Namespace) -> Answer:
    """`simulator clear`: scripts are read out again."""
    await desk.defaults.set_simulator(wanted.workspace, Simulator())
    return {"workspace_id": str(wanted.workspace), "connection_id": None, "model": None}


async def reseal(desk: Desk, _wanted: argparse.Namespace) -> Answer:
    """`secrets reseal`, after a new key was put last in ASSAY_ENCRYPTION_KEYS."""
    connections = Connections(desk.credentials.database, read_keys(desk.settings.encryption_keys), desk.credentials.now)
    return {"resealed": await connections.reseal()}


async def bootstrap(desk: Desk, _wanted: argparse.Namespace) -> Answer:
    """`bootstrap`: two workspaces, and one credential of every kind."""
    made = desk.credentials
    ours, other = await made.new_workspace("First workspace"), await made.new_workspace("Second workspace")
    project = await made.new_project(ours.id, "First project")
    token, _ = await made.new_token(ours.id, ALL_SCOPES)
    api_key, secret_key, _ = await made.new_pair(ours.id, ALL_SCOPES)
    other_token, _ = await made.new_token(other.id, ALL_SCOPES)
    plain_token, _ = await made.new_token(ours.id, ())
    return {
        "workspace_id": str(ours.id),
        "project_id": str(project.id),
        "token": token,
        "api_key": api_key,
        "secret_key": secret_key,
        "jwt": signed(desk.settings.jwt_issuers, ours.id, ALL_SCOPES, JWT_DAYS),
        "other_workspace_id": str(other.id),
        "other_token": other_token,
        "plain_token": plain_token,
    }


def signed(issuers: str, workspace: UUID, scopes: tuple[str, ...], days: int) -> str:
    """A JWT of the first issuer whose key is ours to sign with. Raises Invalid where there is none."""
    for issuer in read_issuers(issuers) if issuers else ():
        if issuer.key:
            now = int(time.time())
            claims = {
                "iss": issuer.name,
                "sub": "admin",
                "workspace_id": str(workspace),
                "scopes": list(scopes),
                "iat": now,
                "exp": now + days * DAY_SECONDS,
            }
            return jwt.encode(claims, issuer.key, algorithm=issuer.algorithms[0])
    raise Invalid({"ASSAY_JWT_ISSUERS": "holds no issuer with a shared key"})


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m services.catalog.admin", description=__doc__)
    nouns = parser.add_subparsers(required=True)
    nouns.add_parser("bootstrap", help="two workspaces and every kind of credential").set_defaults(command=bootstrap)
    workspaces = _verbs(nouns, "workspace")
    _verb(workspaces, "create", create_workspace).add_argument("--name", required=True)
    project = _verb(_verbs(nouns, "project"), "create", create_project)
    project.add_argument("--name", required=True)
    tokens = _verbs(nouns, "token")
    token = _verb(tokens, "create", create_token)
    key = _verb(_verbs(nouns, "key"), "create", create_key)
    made_jwt = _verb(_verbs(nouns, "jwt"), "create", create_jwt)
    made_jwt.add_argument("--days", type=int, default=JWT_DAYS)
    for scoped in (token, key, made_jwt):
        scoped.add_argument("--scopes", type=_scopes, default=ALL_SCOPES, help="comma-separated; default: all")
    _verb(tokens, "revoke", revoke).add_argument("--id", type=_id, required=True, help="credential_id of a token or a pair")
    judge = _verb(_verbs(nouns, "judge"), "set", set_judge)
    judge.add_argument("--connection", type=_id, help="left out: nobody judges")
    judge.add_argument("--model")
    judge.add_argument("--require", action="store_true", help="leave cases unscored rather than use the heuristic")
    default = _verb(_verbs(nouns, "default-connection"), "set", set_default_connection)
    simulators = _verbs(nouns, "simulator")
    simulator = _verb(simulators, "set", set_simulator)
    simulator.add_argument("--model")
    for connected in (default, simulator):
        connected.add_argument("--connection", type=_id, required=True)
    cleared = _verb(simulators, "clear", clear_simulator)
    for of_workspace in (project, token, key, made_jwt, judge, default, simulator, cleared):
        of_workspace.add_argument("--workspace", type=_id, required=True)
    _verb(_verbs(nouns, "secrets"), "reseal", reseal)
    return parser


def _verbs(
    nouns: "argparse._SubParsersAction[argparse.ArgumentParser]", noun: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    return nouns.add_parser(noun).add_subparsers(required=True)


def _verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", verb: str, command: Command) -> argparse.ArgumentParser:
    made = verbs.add_parser(verb, help=(command.__doc__ or "").strip())
    made.set_defaults(command=command)
    return made


def _id(text: str) -> UUID:
    try:
        return canonical_id(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a UUID") from None


def _scopes(text: str) -> tuple[str, ...]:
    return tuple(scope for scope in text.split(",") if scope)


@contextlib.asynccontextmanager
async def opened(settings: Config) -> AsyncIterator[Desk]:
    """A desk on the catalog's database. Raises Unavailable where that, or its schema, isn't there in time: a person is waiting."""
    await _reach(settings.postgres_url)
    database = Database(await open_pool(settings.postgres_url, size=2))
    try:
        await _await_schema(database)
        yield Desk(Credentials(database, lambda: datetime.now(UTC)), settings)
    finally:
        await database.close()


async def _reach(url: str) -> None:
    # The pool of a service waits for ever and only logs why; here the fault itself is the answer.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            await (await asyncpg.connect(url, timeout=CONNECT_SECONDS)).close(timeout=CONNECT_SECONDS)
        except OUTAGES as outage:
            if time.monotonic() > deadline:
                raise Unavailable(f"Postgres can't be reached: {outage or 'no answer in time'}") from outage
            await asyncio.sleep(0.2)
        else:
            return


async def _await_schema(database: Database) -> None:
    try:
        await asyncio.wait_for(until_migrated(database, SCHEMA), MIGRATED_SECONDS)
    except TimeoutError:
        raise Unavailable(f"the catalog's schema isn't migrated to {SCHEMA}; migrate it first") from None


async def carry_out(wanted: argparse.Namespace) -> Answer:
    """One command."""
    async with opened(config.read(Config, os.environ)) as desk:
        answer: Answer = await wanted.command(desk, wanted)
        return answer


def main() -> None:
    """Prints what the command answers; a refusal goes to standard error, with exit status 1."""
    wanted = arguments().parse_args()
    try:
        print(json.dumps(asyncio.run(carry_out(wanted))))
    except FAULTS as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
