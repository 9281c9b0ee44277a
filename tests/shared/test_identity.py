"""Who is calling: every kind of credentials, and every way of getting them wrong."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared import identity
from shared.channels import ServiceIdentity
from shared.errors import ForeignOrigin, ScopeMissing, Unauthenticated
from shared.identity import Credential, Identifier, Principal, read_issuers
from shared.methods import Method

OURS, THEIRS = UUID(int=1), UUID(int=2)
SERVICE_KEY = "service key of the tests, 32 bytes and more"
SHARED_KEY = "shared key of the tests, of 64 bytes and more, so that HS512 takes it."
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
JWK = jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)
ISSUERS = json.dumps(
    [
        {"issuer": "shared", "algorithms": ["HS256"], "key": SHARED_KEY},
        {"issuer": "public", "algorithms": ["RS256"], "jwks": {"keys": [{**JWK, "kid": "one", "alg": "RS256"}]}},
    ]
)
READ = Method("/assay.x.v1.X/Get", internal=False, writes=False, scope="studio")
WRITE = Method("/assay.x.v1.X/Put", internal=False, writes=True, scope="studio")
INTERNAL = Method("/assay.x.internal.v1.X/Get", internal=True, writes=True, scope="")
OPEN_TO_ALL = Method("/assay.x.v1.Y/Get", internal=False, writes=False, scope="")

Metadata = tuple[tuple[str, str], ...]


@dataclass
class Directory:
    """Whom tokens and pairs belong to, as the catalog would tell; counts how often it was asked."""

    asked: list[Credential] = field(default_factory=list)
    known: dict[Credential, Principal] = field(
        default_factory=lambda: {
            Credential(token="ours"): Principal(OURS, frozenset({"studio"}), "c1"),
            Credential(token="theirs"): Principal(THEIRS, frozenset({"studio"}), "c2"),
            Credential(token="plain"): Principal(OURS, frozenset(), "c3"),
            Credential(api_key="k", secret_key="s"): Principal(OURS, frozenset({"studio"}), "c4"),
        }
    )

    async def authenticate(self, credential: Credential) -> Principal | None:
        self.asked.append(credential)
        return self.known.get(credential)


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def identifier(directory: Directory) -> Identifier:
    return Identifier(read_issuers(ISSUERS), SERVICE_KEY, directory.authenticate, ["https://app.example/", "http://gateway:8080"])


def a_jwt(key: Any = SHARED_KEY, algorithm: str = "HS256", kid: str | None = None, **claims: Any) -> str:
    claims = {"iss": "shared", "workspace_id": str(OURS), "scope": "studio more", "exp": time.time() + 7200, **claims}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def a_public_jwt(key: Any = RSA_KEY, kid: str | None = "one", **claims: Any) -> str:
    return a_jwt(key, "RS256", kid, iss="public", **claims)


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT', **header})}.{part(claims)}."


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def cookie(token: str) -> Metadata:
    return (("cookie", f"theme=dark; auth={token}"),)


def pair(key: str, secret: str) -> Metadata:
    return (("x-api-key", key), ("x-secret-key", secret))


@pytest.mark.parametrize(
    "metadata",
    [
        bearer("ours"),
        (("authorization", "bearer   ours "),),
        pair("k", "s"),
        bearer(a_jwt()),
        cookie(a_jwt()),
        (("cookie", f'auth="{a_jwt()}"'),),
        bearer(a_public_jwt()),
        cookie(a_public_jwt()),
        bearer(a_jwt(scope=None, scopes=["studio"])),
        bearer(a_jwt(scope=None, scopes="studio more")),
        (*bearer("ours"), *pair("k", "s"), *cookie(a_jwt())),
        (("authorization", ""), *pair("k", "s")),  # sent by generated clients that set no token
        (("authorization", "Bearer ours"), ("trace-bin", "x")),
    ],
)
async def test_every_kind_of_credentials_is_taken(identifier: Identifier, metadata: Metadata) -> None:
    principal = await identifier.identify(READ, metadata)
    assert (principal.workspace_id, "studio" in principal.scopes) == (OURS, True)
    assert identity.workspace() == OURS
    assert identity.caller() is principal


async def test_clocks_may_differ_by_half_a_minute(identifier: Identifier) -> None:
    assert (await identifier.identify(READ, bearer(a_jwt(exp=time.time() - 20)))).workspace_id == OURS


def _refused() -> dict[str, Metadata]:
    now = time.time()
    return {
        "nothing": (),
        "empty": (("authorization", ""), ("x-api-key", ""), ("x-secret-key", ""), ("cookie", "auth=")),
        "unknown token": bearer("unknown"),
        "no token": (("authorization", "Bearer "),),
        "another scheme": (("authorization", "Basic b3VyczpvdXJz"),),
        "half a pair": (("x-api-key", "k"),),
        "the other half": (("x-secret-key", "s"),),
        "wrong secret": pair("k", "S"),
        "a pair as a token": bearer("k"),
        "expired": bearer(a_jwt(exp=now - 60)),
        "expired cookie": cookie(a_jwt(exp=now - 60)),
        "no expiry": bearer(a_jwt(exp=None)),
        "not yet": bearer(a_jwt(nbf=now + 120)),
        "wrong key": bearer(a_jwt("another key of the tests, 32 bytes or so")),
        "unknown issuer": bearer(a_jwt(iss="other")),
        "no issuer": bearer(a_jwt(iss=None)),
        "another issuer's key": bearer(a_jwt(iss="public")),
        "another algorithm of the family": bearer(a_jwt(algorithm="HS512")),
        "no workspace": bearer(a_jwt(workspace_id=None)),
        "malformed workspace": bearer(a_jwt(workspace_id="all")),
        "workspace of another type": bearer(a_jwt(workspace_id=["x"])),
        "scopes of another type": bearer(a_jwt(scopes=[{"x": 1}])),
        "a service's own": bearer(a_jwt(SERVICE_KEY, iss="assay-services")),
        "three parts of nothing": bearer("a.b.c"),
        "unsigned": bearer(unsigned({"iss": "shared", "workspace_id": str(OURS), "exp": now + 60})),
        "unsigned, public": bearer(unsigned({"iss": "public", "workspace_id": str(OURS), "exp": now + 60}, kid="one")),
        "issuer of another type": bearer(unsigned({"iss": {"a": 1}, "exp": now + 60})),
        "key id of another type": bearer(unsigned({"iss": "public", "exp": now + 60}, kid=[1])),
        "deeply nested": bearer(".".join(["e30", base64.urlsafe_b64encode(b"[" * 40_000).decode().rstrip("="), ""])),
        "unknown key id": bearer(a_public_jwt(kid="two")),
        "no key id": bearer(a_public_jwt(kid=None)),
        "another RSA key": bearer(a_public_jwt(OTHER_RSA_KEY)),
        "public modulus as secret": bearer(a_jwt(JWK["n"], iss="public", kid="one")),
        "two workspaces": (*bearer("theirs"), *cookie(a_jwt())),
        "two tokens of two workspaces": (*bearer("ours"), *bearer("theirs")),
        "one good, one wrong": (*bearer("ours"), *pair("k", "S")),
        "good token, expired cookie": (*bearer("ours"), *cookie(a_jwt(exp=now - 60))),
    }


@pytest.mark.parametrize("name", _refused())
async def test_anything_else_is_refused(identifier: Identifier, name: str) -> None:
    with pytest.raises(Unauthenticated):
        await identifier.identify(OPEN_TO_ALL, _refused()[name])


@pytest.mark.parametrize(
    "metadata", [bearer("plain"), bearer(a_jwt(scope="other")), cookie(a_jwt(scope=None)), bearer(a_jwt(scopes="other"))]
)
async def test_a_missing_scope_is_told_apart_from_missing_credentials(identifier: Identifier, metadata: Metadata) -> None:
    with pytest.raises(ScopeMissing, match="'studio'"):
        await identifier.identify(READ, metadata)
    assert (await identifier.identify(OPEN_TO_ALL, metadata)).workspace_id == OURS


async def test_scopes_of_several_credentials_of_one_workspace_add_up(identifier: Identifier) -> None:
    principal = await identifier.identify(READ, (*bearer("plain"), *cookie(a_jwt())))
    assert principal.scopes == {"studio", "more"}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://app.example.evil", "http://app.example", "https://app.example:1"]
)
async def test_a_page_of_another_origin_cannot_write_with_a_cookie(identifier: Identifier, origin: str) -> None:
    metadata = (*cookie(a_jwt()), ("origin", origin))
    with pytest.raises(ForeignOrigin):
        await identifier.identify(WRITE, metadata)
    await identifier.identify(READ, metadata)
    await identifier.identify(WRITE, (*bearer("ours"), ("origin", origin)))


@pytest.mark.parametrize("origin", ["https://app.example", "HTTPS://App.Example", "http://gateway:8080"])
async def test_our_own_pages_can_write_with_a_cookie(identifier: Identifier, origin: str) -> None:
    await identifier.identify(WRITE, (*cookie(a_jwt()), ("origin", origin)))


async def test_a_cookie_without_an_origin_is_no_browser(identifier: Identifier) -> None:
    await identifier.identify(WRITE, cookie(a_jwt()))


async def test_answers_are_remembered_refusals_too(identifier: Identifier, directory: Directory) -> None:
    for _ in range(3):
        await identifier.identify(READ, bearer("ours"))
        with pytest.raises(Unauthenticated):
            await identifier.identify(READ, bearer("unknown"))
    assert directory.asked == [Credential(token="ours"), Credential(token="unknown")]


async def test_a_revoked_credential_is_asked_for_again(
    identifier: Identifier, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "CACHE_SECONDS", -1.0)
    await identifier.identify(READ, bearer("ours"))
    del directory.known[Credential(token="ours")]
    with pytest.raises(Unauthenticated):
        await identifier.identify(READ, bearer("ours"))


async def test_the_cache_is_bounded_and_holds_no_secret(identifier: Identifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "CACHE_SIZE", 3)
    for number in range(10):
        with pytest.raises(Unauthenticated):
            await identifier.identify(READ, bearer(f"guess {number}"))
    assert len(identifier._cache) == 3
    assert "guess" not in str(identifier._cache)


async def test_a_catalog_that_is_away_is_not_remembered_as_a_refusal(directory: Directory) -> None:
    away = True

    async def authenticate(credential: Credential) -> Principal | None:
        if away:
            raise ConnectionRefusedError
        return await directory.authenticate(credential)

    identifier = Identifier((), SERVICE_KEY, authenticate)
    with pytest.raises(ConnectionRefusedError):
        await identifier.identify(READ, bearer("ours"))
    away = False
    assert (await identifier.identify(READ, bearer("ours"))).workspace_id == OURS


async def test_services_know_each_other_by_their_key(identifier: Identifier) -> None:
    principal = await identifier.identify(INTERNAL, ServiceIdentity("runner", SERVICE_KEY).metadata(OURS))
    assert (principal.workspace_id, principal.service) == (OURS, "runner")


async def test_a_service_may_act_for_no_workspace(identifier: Identifier) -> None:
    await identifier.identify(INTERNAL, ServiceIdentity("runner", SERVICE_KEY).metadata())
    with pytest.raises(Unauthenticated, match="no workspace"):
        identity.workspace()


def _clock(moment: float) -> Callable[[], float]:
    return lambda: moment


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        bearer("ours"),
        bearer(a_jwt()),
        ServiceIdentity("runner", "another key of the tests, 32 bytes or so").metadata(OURS),
        ServiceIdentity("runner", SERVICE_KEY, _clock(time.time() - 400)).metadata(OURS),
        ServiceIdentity("runner", SERVICE_KEY).metadata(OURS) * 2,
    ],
)
async def test_nobody_else_gets_into_internal_methods(identifier: Identifier, metadata: Metadata) -> None:
    with pytest.raises(Unauthenticated):
        await identifier.identify(INTERNAL, metadata)


async def test_a_service_without_a_key_lets_nobody_in() -> None:
    identifier = Identifier((), "", Directory().authenticate)
    claims: dict[str, Any] = {"iss": "assay-services", "sub": "runner", "exp": time.time() + 60}
    for forged in (unsigned(claims), a_jwt(SERVICE_KEY, **claims)):
        with pytest.raises(Unauthenticated):
            await identifier.identify(INTERNAL, bearer(forged))


def test_a_service_token_is_reused_until_half_its_life() -> None:
    moment = 1000.0
    service = ServiceIdentity("runner", SERVICE_KEY, lambda: moment)
    first = service.metadata(OURS)
    moment += 149
    assert service.metadata(OURS) == first
    assert service.metadata(THEIRS) != first
    moment += 2
    assert service.metadata(OURS) != first


@pytest.mark.parametrize(
    "entry",
    [
        {"algorithms": ["HS256", "RS256"], "key": SHARED_KEY},
        {"algorithms": ["RS256"], "key": SHARED_KEY},
        {"algorithms": ["HS256"], "jwks": {"keys": [JWK]}},
        {"algorithms": [], "key": SHARED_KEY},
    ],
)
def test_an_issuer_has_one_family_of_algorithms(entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="HS algorithms go with a key"):
        read_issuers(json.dumps([{"issuer": "x", **entry}]))
