"""How the servicers answer creates: the call's Idempotency-Key with the message that is kept under it."""

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message

from services.catalog.operations.creation import Answer, Creation
from shared.idempotency import key_of
from shared.identity import workspace
from shared.interceptors import Context

Made = TypeVar("Made")


def creation(
    context: Context, request: Message, answer: type[Answer], pack: Callable[[Made], Answer], content: bytes | None = None
) -> Creation[Made, Answer]:
    """A create as this call asks for it; of an upload its `content` tells one body from another. Raises Invalid for a key that is too long."""
    return Creation(key_of(tuple(context.invocation_metadata() or ()), workspace(), request, content), answer, pack)
