"""Who may do what: every kind of credentials, every way of getting them wrong, cookies and origins."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.suite.builders import CONNECTIONS, CONTEXTS, made, unique
from tests.suite.client import Client
from tests.suite.conftest import ALLOWED_ORIGIN, Credentials
from tests.suite.contract import refused
from tests.suite.scenes import BY_NAME, OPERATIONS, READS, Operation, Scene

Headers = Mapping[str, str]

GOOD: Mapping[str, Callable[[Credentials], Headers]] = {
    "token as Bearer": lambda c: c.bearer,
    "scheme in any case": lambda c: {"authorization": f"bEARER {c.token}"},
    "JWT as Bearer": lambda c: {"authorization": f"Bearer {c.jwt}"},
    "JWT in the cookie": lambda c: c.cookie,
    "key pair": lambda c: c.pair,
    "everything at once": lambda c: {**c.bearer, **c.cookie, **c.pair},
    "an empty Authorization beside a cookie": lambda c: {**c.cookie, "authorization": ""},
    "an empty cookie beside a token": lambda c: {**c.bearer, "cookie": "auth="},
    "X-Internal-Service beside a token": lambda c: {**c.bearer, "x-internal-service": "runner"},
}

BAD: Mapping[str, Callable[[Credentials], Headers]] = {
    "none": lambda _: {},
    "X-Internal-Service alone": lambda _: {"x-internal-service": "true"},
    "an unknown token": lambda _: {"authorization": "Bearer nonsense"},
    "an empty Bearer": lambda _: {"authorization": "Bearer "},
    "another scheme": lambda c: {"authorization": f"Basic {c.token}"},
    "a token without scheme": lambda c: {"authorization": c.token},
    "an API token in the cookie": lambda c: {"cookie": f"auth={c.token}"},
    "an expired JWT": lambda c: {"authorization": f"Bearer {c.mint(c.workspace_id, -60)}"},
    "an expired JWT in the cookie": lambda c: {"cookie": f"auth={c.mint(c.workspace_id, -60)}"},
    "a JWT that was changed": lambda c: {"authorization": f"Bearer {_forged(c.jwt)}"},
    "a JWT without signature": lambda c: {"authorization": f"Bearer {c.jwt.rpartition('.')[0]}."},
    "an API key without its secret": lambda c: {"x-api-key": c.api_key},
    "a secret without its key": lambda c: {"x-secret-key": c.secret_key},
    "a wrong secret": lambda c: {"x-api-key": c.api_key, "x-secret-key": "x" + c.secret_key},
    "a key pair the wrong way round": lambda c: {"x-api-key": c.secret_key, "x-secret-key": c.api_key},
    "a bad token beside a good pair": lambda c: {**c.pair, "authorization": "Bearer nonsense"},
    "a bad cookie beside a good token": lambda c: {**c.bearer, "cookie": "auth=nonsense"},
    "a bad pair beside a good token": lambda c: {**c.bearer, "x-api-key": "a", "x-secret-key": "b"},
    "half a pair beside a good token": lambda c: {**c.bearer, "x-api-key": c.api_key},
    "an expired JWT beside a good token": lambda c: {**c.bearer, "cookie": f"auth={c.mint(c.workspace_id, -60)}"},
    "two workspaces, token and cookie": lambda c: {**c.bearer, "cookie": f"auth={c.mint(c.other_workspace_id, 60)}"},
    "two workspaces, token and pair": lambda c: {**c.pair, "authorization": f"Bearer {c.other_token}"},
}


def _forged(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("operation", READS, ids=str)
def test_every_kind_of_credentials_reads(scene: Scene, credentials: Credentials, operation: Operation, kind: str) -> None:
    client = scene.client.having(GOOD[kind](credentials))
    assert scene.call(operation, client=client).status == 200


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_credentials_writes(anonymous: Client, credentials: Credentials, kind: str) -> None:
    client = anonymous.having(GOOD[kind](credentials))
    connection = made(client.post(CONNECTIONS, {"name": unique("c"), "kind": "builtin", "model": "echo"}))
    assert client.delete(f"{CONNECTIONS}/{connection['id']}").status == 204


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_without_valid_credentials_nothing_is_answered(
    scene: Scene, anonymous: Client, credentials: Credentials, operation: Operation
) -> None:
    for kind, headers in BAD.items():
        answer = scene.call(operation, client=anonymous.having(headers(credentials)))
        assert answer.status == 401, (kind, answer)
        refused(answer, 401, reason="UNAUTHENTICATED")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_without_the_scope_nothing_is_allowed(scene: Scene, anonymous: Client, credentials: Credentials, operation: Operation) -> None:
    plain = anonymous.having({"authorization": f"Bearer {credentials.plain_token}"})
    for client in (plain, plain.adding({"x-internal-service": "catalog"})):
        refused(scene.call(operation, client=client), 403, reason="SCOPE_MISSING")


def test_nothing_was_changed_by_those_who_may_not(scene: Scene) -> None:
    for operation in READS:
        assert scene.call(operation).status == 200


ORIGINS: Sequence[tuple[str, bool]] = (
    ("https://evil.example.com", False),
    ("null", False),
    (ALLOWED_ORIGIN + ".evil.example.com", False),
    ("http://" + ALLOWED_ORIGIN.partition("//")[2], False),
    (ALLOWED_ORIGIN, True),
    ("the gateway's own", True),
    ("", True),
)


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
def test_a_page_of_a_foreign_origin_cannot_write_with_the_users_cookie(
    anonymous: Client,
    credentials: Credentials,
    origin: str,
    allowed: bool,  # noqa: FBT001 a table's column
) -> None:
    own = credentials.url if origin == "the gateway's own" else origin
    client = anonymous.having({**credentials.cookie, **({"origin": own} if own else {})})
    answer = client.post(CONNECTIONS, {"name": unique("c"), "kind": "builtin", "model": "echo"})
    if allowed:
        assert answer.status == 201, answer
    else:
        refused(answer, 403, reason="FOREIGN_ORIGIN")
    assert client.get(CONTEXTS).status == 200


@pytest.mark.parametrize("operation", [operation for operation in OPERATIONS if operation.writes], ids=str)
def test_no_write_by_cookie_is_open_to_foreign_origins(
    scene: Scene, anonymous: Client, credentials: Credentials, operation: Operation
) -> None:
    client = anonymous.having({**credentials.cookie, "origin": "https://evil.example.com"})
    refused(scene.call(operation, client=client), 403, reason="FOREIGN_ORIGIN")


def test_other_credentials_write_from_any_origin(anonymous: Client, credentials: Credentials) -> None:
    for headers in (
        credentials.bearer,
        credentials.pair,
        {"authorization": f"Bearer {credentials.jwt}"},
        {**credentials.bearer, **credentials.cookie},
    ):
        client = anonymous.having({**headers, "origin": "https://evil.example.com"})
        assert client.post(CONNECTIONS, {"name": unique("c"), "kind": "builtin", "model": "echo"}).status == 201


def test_headers_that_are_the_gateways_own_do_nothing(scene: Scene) -> None:
    forged = {"x-http-code": "299", "x-assay-workspace": "x", "x-assay-scopes": "studio", "x-internal-service": "catalog"}
    answer = scene.call(BY_NAME["get test set"], client=scene.client.adding(forged))
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith(("x-assay", "x-http", "grpc-", "x-envoy"))]
    refused(scene.call(BY_NAME["get test set"], client=scene.client.having(forged)), 401)
