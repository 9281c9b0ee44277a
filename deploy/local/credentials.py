"""The first workspace and the credentials that `.local/env` shows, made once by the catalog's own command."""

import base64
import json
import subprocess
import time
from typing import Any

from deploy.local import plan
from deploy.local.environment import Topology, inherited_environment
from deploy.local.files import Folders, read_json, write_json

JWT_DAYS = 30
RENEW_BELOW_DAYS = 7


class BootstrapFailedError(RuntimeError):
    """The catalog's command refused; the message is its own."""


def load(folders: Folders, topology: Topology) -> dict[str, str]:
    """The kept credentials with a JWT that is good for a week at least; made first where there are none."""
    kept = read_json(folders.credentials)
    if not kept:
        kept = _admin(topology, "bootstrap")
        write_json(folders.credentials, kept)
    claims = _claims(kept["jwt"])
    if claims["exp"] < time.time() + RENEW_BELOW_DAYS * 86_400:
        kept["jwt"] = _renewed(topology, kept["workspace_id"], claims)
        write_json(folders.credentials, kept)
    return kept


def _renewed(topology: Topology, workspace: str, claims: dict[str, Any]) -> str:
    scopes = claims["scopes"] if "scopes" in claims else str(claims["scope"]).split()
    made = _admin(topology, "jwt", "create", "--workspace", workspace, "--scopes", ",".join(scopes), "--days", str(JWT_DAYS))
    return str(made["token"])


def _claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def _admin(topology: Topology, *arguments: str) -> dict[str, Any]:
    environment = {**inherited_environment(), **plan.admin_environment(topology)}
    done = subprocess.run(plan.admin_command(*arguments), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BootstrapFailedError(f"services.catalog.admin {' '.join(arguments)}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
