"""Who is calling: every service authenticates every call itself, from the metadata that the gateway passes through.

Four kinds of credentials: an API token or a JWT as Bearer, a JWT in the cookie `auth`, and a key pair. JWTs are checked
here; tokens and pairs through `authenticate`, remembered for 30 s, refusals too.
"""

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import jwt

from assay.catalog.internal.v1 import catalog_pb2
from shared.channels import ISSUER, Authenticated
from shared.errors import ForeignOrigin, ScopeMissing, Unauthenticated
from shared.methods import Method

CACHE_SECONDS = 30.0
CACHE_SIZE = 10_000
LEEWAY_SECONDS = 30
JWT_PARTS = 3

_CALLER: ContextVar["Principal"] = ContextVar("caller")


@dataclass(frozen=True)
class Principal:
    """Whose call it is. `workspace_id` is None only for a service that acts for none."""

    workspace_id: UUID | None
    scopes: frozenset[str] = frozenset()
    credential_id: str = ""
    service: str = ""


@dataclass(frozen=True)
class Credential:
    """A token, or a key pair."""

    token: str = ""
    api_key: str = ""
    secret_key: str = ""

    @property
    def digest(self) -> bytes:
        """What a cache may hold instead of the secret."""
        return hashlib.sha256(f"{self.token}\0{self.api_key}\0{self.secret_key}".encode()).digest()


Authenticate = Callable[[Credential], Awaitable[Principal | None]]


def caller() -> Principal:
    """The principal of the call that is being served."""
    return _CALLER.get()


def workspace() -> UUID:
    """The workspace of the call that is being served. Raises Unauthenticated for a service that acts for none."""
    found = _CALLER.get().workspace_id
    if found is None:
        raise Unauthenticated("the credentials name no workspace")
    return found


@dataclass(frozen=True)
class Issuer:
    """Who may issue JWTs, one algorithm family each: a shared key, or a set of public keys by key id."""

    name: str
    algorithms: tuple[str, ...]
    key: str = ""
    keys: Mapping[str, Any] = field(default_factory=dict)

    def key_for(self, key_id: str | None) -> Any:
        """The key that must have signed. Raises KeyError for an unknown key id."""
        return self.key or self.keys[key_id or ""]


def read_issuers(text: str) -> tuple[Issuer, ...]:
    """Parses ASSAY_JWT_ISSUERS: [{"issuer", "algorithms", "key" or "jwks"}]. Raises ValueError for a mix of families."""
    issuers = []
    for entry in json.loads(text):
        algorithms = tuple(entry["algorithms"])
        symmetric = {name.startswith("HS") for name in algorithms}
        if len(symmetric) != 1 or symmetric != {"key" in entry}:
            raise ValueError(f"issuer {entry['issuer']}: HS algorithms go with a key, all others with a jwks")
        keys = {key.key_id or "": key.key for key in jwt.PyJWKSet.from_dict(entry["jwks"]).keys} if "jwks" in entry else {}
        issuers.append(Issuer(entry["issuer"], algorithms, entry.get("key", ""), keys))
    return tuple(issuers)


class Identifier:
    """Tells who is calling, or refuses."""

    def __init__(self, issuers: Sequence[Issuer], service_key: str, authenticate: Authenticate, origins: Sequence[str] = ()) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._service = Issuer(ISSUER, ("HS256",), service_key)
        self._authenticate = authenticate
        self._origins = {origin.rstrip("/").lower() for origin in origins}
        self._cache: OrderedDict[bytes, tuple[Principal | None, float]] = OrderedDict()

    async def identify(self, method: Method, metadata: Sequence[tuple[str, str | bytes]]) -> Principal:
        """Raises Unauthenticated, ScopeMissing or ForeignOrigin."""
        values: dict[str, list[str]] = {}
        for name, value in metadata:
            if isinstance(value, str):
                values.setdefault(name, []).append(value)
        if method.internal:
            principal = self._by_service(values)
        else:
            principal = await self._by_user(method, values)
        _CALLER.set(principal)
        return principal

    def _by_service(self, values: Mapping[str, list[str]]) -> Principal:
        tokens = _bearers(values)
        if len(tokens) != 1:
            raise Unauthenticated("credentials are missing")
        claims = _claims(tokens[0], self._service)
        named = claims.get("workspace_id")
        return Principal(UUID(named) if named else None, service=claims["sub"])

    async def _by_user(self, method: Method, values: Mapping[str, list[str]]) -> Principal:
        bearers, cookies, pairs = _bearers(values), _auth_cookies(values), _pairs(values)
        found = [await self._bearer(token) for token in bearers]
        found += [self._jwt(token) for token in cookies]
        found += [await self._looked_up(pair) for pair in pairs]
        if not found:
            raise Unauthenticated("credentials are missing")
        if len({principal.workspace_id for principal in found}) > 1:
            raise Unauthenticated("the credentials belong to different workspaces")
        if method.writes and cookies and len(found) == len(cookies):
            self._check_origin(values)
        scopes = frozenset[str]().union(*(principal.scopes for principal in found))
        if method.scope and method.scope not in scopes:
            raise ScopeMissing(f"the scope '{method.scope}' is missing")
        return Principal(found[0].workspace_id, scopes, found[0].credential_id)

    async def _bearer(self, token: str) -> Principal:
        if len(token.split(".")) == JWT_PARTS:
            return self._jwt(token)
        return await self._looked_up(Credential(token=token))

    def _jwt(self, token: str) -> Principal:
        try:
            named = jwt.decode(token, options={"verify_signature": False}).get("iss")
            issuer = self._issuers[str(named)]
        except (jwt.InvalidTokenError, KeyError, TypeError, RecursionError):
            raise _invalid() from None
        claims = _claims(token, issuer)
        try:
            scopes = claims.get("scopes") or claims.get("scope") or ""
            if isinstance(scopes, str):
                scopes = scopes.split()
            return Principal(UUID(claims["workspace_id"]), frozenset(scopes), str(claims.get("sub", "")))
        except (KeyError, ValueError, TypeError, AttributeError):
            raise _invalid() from None

    async def _looked_up(self, credential: Credential) -> Principal:
        digest, now = credential.digest, time.monotonic()
        known = self._cache.get(digest)
        if known is None or known[1] < now:
            known = (await self._authenticate(credential), now + CACHE_SECONDS)
            self._cache[digest] = known
            self._cache.move_to_end(digest)
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        if known[0] is None:
            raise _invalid()
        return known[0]

    def _check_origin(self, values: Mapping[str, list[str]]) -> None:
        for origin in values.get("origin", []):
            if origin.rstrip("/").lower() not in self._origins:
                raise ForeignOrigin("this origin may not write with a cookie")


def _invalid() -> Unauthenticated:
    return Unauthenticated("credentials are not valid")


def _claims(token: str, issuer: Issuer) -> dict[str, Any]:
    try:
        key = issuer.key_for(jwt.get_unverified_header(token).get("kid"))
        return jwt.decode(
            token,
            key,
            algorithms=list(issuer.algorithms),
            issuer=issuer.name,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss"], "verify_aud": False},
        )
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, RecursionError):
        raise _invalid() from None


def _bearers(values: Mapping[str, list[str]]) -> list[str]:
    tokens = []
    for header in values.get("authorization", []):
        if not header.strip():
            continue  # documented default: ""
        scheme, _, token = header.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _invalid()
        tokens.append(token.strip())
    return tokens


def _auth_cookies(values: Mapping[str, list[str]]) -> list[str]:
    tokens = []
    for header in values.get("cookie", []):
        for part in header.split(";"):
            name, _, value = part.strip().partition("=")
            if name == "auth" and value.strip('"'):
                tokens.append(value.strip('"'))
    return tokens


def _pairs(values: Mapping[str, list[str]]) -> list[Credential]:
    keys = [value for value in values.get("x-api-key", []) if value]
    secrets = [value for value in values.get("x-secret-key", []) if value]
    if len(keys) != len(secrets):
        raise _invalid()
    return [Credential(api_key=key, secret_key=secret) for key, secret in zip(keys, secrets, strict=True)]


def through_catalog(catalog: Authenticated) -> Authenticate:
    """Asks the catalog whose token or pair this is."""

    async def authenticate(credential: Credential) -> Principal | None:
        request = catalog_pb2.AuthenticateRequest(token=credential.token, api_key=credential.api_key, secret_key=credential.secret_key)
        answer = await catalog.Authenticate(request, timeout=5)
        if not answer.workspace_id:
            return None
        return Principal(UUID(answer.workspace_id), frozenset(answer.scopes), answer.credential_id)

    return authenticate
