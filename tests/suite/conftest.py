"""The suite's stack, started once, and clients of it."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jwt
import pytest

from deploy.local import plan
from deploy.local.environment import inherited_environment, load_secrets
from deploy.local.files import read_json
from deploy.local.programs import told
from deploy.local.settings import DEFAULTS, Settings
from deploy.local.stack import Stack
from tests.suite.builders import Builders
from tests.suite.client import Client
from tests.suite.endpoint import Endpoint, running_endpoint
from tests.suite.family_builders import Assistants, Projects, Prompts, Simulations
from tests.suite.family_scenes import a_family_scene
from tests.suite.scenes import Scene, a_scene

ALLOWED_ORIGIN = "https://studio.example.com"
# Words of the admin command -> what it prints.
Administer = Callable[..., dict[str, str]]
# (workspace id, seconds until it expires; below zero: since it did) -> a JWT.
Mint = Callable[[str, int], str]


@dataclass(frozen=True)
class Credentials:
    """What `.local/env` holds, and how to sign more."""

    url: str
    token: str
    jwt: str
    api_key: str
    secret_key: str
    other_token: str
    plain_token: str
    workspace_id: str
    other_workspace_id: str
    mint: Mint

    @property
    def bearer(self) -> dict[str, str]:
        """The API token as a header."""
        return {"authorization": f"Bearer {self.token}"}

    @property
    def pair(self) -> dict[str, str]:
        """The key pair as headers."""
        return {"x-api-key": self.api_key, "x-secret-key": self.secret_key}

    @property
    def jwt_bearer(self) -> dict[str, str]:
        """The JWT as a header."""
        return {"authorization": f"Bearer {self.jwt}"}

    @property
    def cookie(self) -> dict[str, str]:
        """The JWT as a cookie."""
        return {"cookie": f"theme=dark; auth={self.jwt}"}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two runners, in a folder of its own, on free ports; one foreign origin may write with a cookie."""
    it = Stack(tmp_path_factory.mktemp("suite"), Settings(runners=2, passed={**DEFAULTS, "ASSAY_ALLOWED_ORIGINS": ALLOWED_ORIGIN}))
    try:
        it.up()
        yield it
    finally:
        it.down()


@pytest.fixture(scope="session")
def credentials(stack: Stack) -> Credentials:
    env = stack.env()
    claims = jwt.decode(env["ASSAY_JWT"], options={"verify_signature": False})
    key = load_secrets(stack.folders)["jwt_key"]

    def mint(workspace: str, seconds: int) -> str:
        said = {**claims, "workspace_id": workspace, "exp": int(time.time()) + seconds}
        return jwt.encode(said, key, algorithm="HS256")

    return Credentials(
        url=env["ASSAY_URL"],
        token=env["ASSAY_TOKEN"],
        jwt=env["ASSAY_JWT"],
        api_key=env["ASSAY_API_KEY"],
        secret_key=env["ASSAY_SECRET_KEY"],
        other_token=env["ASSAY_OTHER_TOKEN"],
        plain_token=env["ASSAY_PLAIN_TOKEN"],
        workspace_id=env["ASSAY_WORKSPACE_ID"],
        other_workspace_id=read_json(stack.folders.credentials)["other_workspace_id"],
        mint=mint,
    )


@pytest.fixture(scope="session")
def anonymous(stack: Stack) -> Client:
    """A client without credentials."""
    return Client(stack.env()["ASSAY_GRPC"])


@pytest.fixture(scope="session")
def client(anonymous: Client, credentials: Credentials) -> Client:
    """A client of the first workspace."""
    return anonymous.having(credentials.bearer)


@pytest.fixture(scope="session")
def other(anonymous: Client, credentials: Credentials) -> Client:
    """A client of the second workspace."""
    return anonymous.having({"authorization": f"Bearer {credentials.other_token}"})


@pytest.fixture(scope="session")
def build(client: Client) -> Builders:
    return Builders(client)


@pytest.fixture(scope="session")
def scene(client: Client) -> Scene:
    """One of everything, for tests that change nothing of it."""
    return a_scene(client)


@pytest.fixture(scope="session")
def other_scene(other: Client) -> Scene:
    """One of everything in the second workspace."""
    return a_scene(other)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as server:
        yield server


@pytest.fixture(scope="session")
def administer(stack: Stack) -> Administer:
    """The admin command, as an operator gives it."""

    def run(*words: str) -> dict[str, str]:
        environment = {**inherited_environment(), **told("catalog", stack.folders)}
        found: dict[str, str] = json.loads(subprocess.check_output(plan.admin_command(*words), env=environment))
        return found

    return run


@pytest.fixture(scope="session")
def project(stack: Stack) -> str:
    return stack.env()["ASSAY_PROJECT_ID"]


@pytest.fixture(scope="session")
def other_project(administer: Administer, credentials: Credentials) -> str:
    """A project of the second workspace."""
    return administer("project", "create", "--workspace", credentials.other_workspace_id, "--name", "theirs")["project_id"]


@pytest.fixture(scope="session")
def projects(client: Client, project: str) -> Projects:
    return Projects(client, project)


@pytest.fixture(scope="session")
def simulations(client: Client) -> Simulations:
    return Simulations(client)


@pytest.fixture(scope="session")
def prompts(client: Client) -> Prompts:
    return Prompts(client)


@pytest.fixture(scope="session")
def assistants(client: Client) -> Assistants:
    return Assistants(client)


@pytest.fixture(scope="session")
def family_scene(client: Client, project: str) -> Scene:
    """One of everything of the other families."""
    return a_family_scene(client, project)


@pytest.fixture(scope="session")
def other_family_scene(other: Client, other_project: str) -> Scene:
    """The same in the second workspace."""
    return a_family_scene(other, other_project)
