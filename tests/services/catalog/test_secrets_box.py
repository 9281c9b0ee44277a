"""Provider keys at rest."""

import base64
import json

import pytest
from cryptography.exceptions import InvalidTag

from services.catalog.secrets_box import KeyRing, read_keys
from shared.ids import new_id

OLD, NEW = b"o" * 32, b"n" * 32
WORKSPACE, CONNECTION = new_id(), new_id()


def test_what_is_sealed_is_opened_and_is_not_readable() -> None:
    ring = KeyRing({"1": OLD})
    sealed = ring.seal("sk-geheim-é", WORKSPACE, CONNECTION)
    assert ring.open(sealed, WORKSPACE, CONNECTION) == "sk-geheim-é"
    assert b"geheim" not in sealed.box
    assert sealed.box != ring.seal("sk-geheim-é", WORKSPACE, CONNECTION).box


def test_a_box_opens_for_its_own_row_alone() -> None:
    ring = KeyRing({"1": OLD})
    sealed = ring.seal("sk", WORKSPACE, CONNECTION)
    for workspace, connection in ((new_id(), CONNECTION), (WORKSPACE, new_id()), (CONNECTION, WORKSPACE)):
        with pytest.raises(InvalidTag):
            ring.open(sealed, workspace, connection)


def test_the_last_key_seals_and_the_older_ones_still_open() -> None:
    sealed = KeyRing({"1": OLD}).seal("sk", WORKSPACE, CONNECTION)
    ring = KeyRing({"1": OLD, "2": NEW})
    assert ring.open(sealed, WORKSPACE, CONNECTION) == "sk"
    assert ring.seal("sk", WORKSPACE, CONNECTION).key_id == "2"


def test_keys_are_read_in_their_order() -> None:
    text = json.dumps({"b": base64.b64encode(NEW).decode(), "a": base64.b64encode(OLD).decode()})
    assert read_keys(text).newest == "a"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"1": "short"}', '{"1": 5}', '{"1": "c2hvcnQ="}', '{"1": "%%%"}'])
def test_malformed_keys_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"^encryption keys: "):
        read_keys(text)
