"""Provider keys at rest: AES-GCM, bound to the workspace and the connection, under keys that have ids and can be rotated."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.catalog.entities.connections import Sealed

NONCE_BYTES = 12
KEY_BYTES = 32


class KeyRing:
    """The keys by id. The last one seals; all of them open, so that a key can be replaced while old boxes last."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys.values()):
            raise ValueError(f"encryption keys: at least one, each of {KEY_BYTES} bytes")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.newest = list(keys)[-1]

    def seal(self, text: str, workspace: UUID, connection_id: UUID) -> Sealed:
        """Encrypts with the newest key."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        box = self._ciphers[self.newest].encrypt(nonce, text.encode(), _bound_to(workspace, connection_id))
        return Sealed(self.newest, nonce + box)

    def open(self, sealed: Sealed, workspace: UUID, connection_id: UUID) -> str:
        """Decrypts. Raises KeyError for an unknown key id, InvalidTag for a box of another row or another workspace."""
        nonce, box = sealed.box[:NONCE_BYTES], sealed.box[NONCE_BYTES:]
        return self._ciphers[sealed.key_id].decrypt(nonce, box, _bound_to(workspace, connection_id)).decode()


def read_keys(text: str) -> KeyRing:
    """Parses ASSAY_ENCRYPTION_KEYS: {"key id": base64 of 32 bytes}. Raises ValueError without showing any of it."""
    try:
        return KeyRing({str(key_id): base64.b64decode(key, validate=True) for key_id, key in json.loads(text).items()})
    except (AttributeError, TypeError, binascii.Error, json.JSONDecodeError):
        raise ValueError("encryption keys: must be a JSON object of base64 texts") from None


def _bound_to(workspace: UUID, connection_id: UUID) -> bytes:
    return workspace.bytes + connection_id.bytes
