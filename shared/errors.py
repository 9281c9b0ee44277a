"""What can go wrong by a caller's doing: typed errors that cross RPC as rich statuses."""

from collections.abc import Mapping

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from assay.common.v1.errors_pb2 import ErrorReason

DOMAIN = "assay"
# Bytes. Over 8 KB the text of an abort fails at random and turns into 429. A status carries its message twice: percent-encoded,
# where a byte may take three, and in its details.
MAX_MESSAGE = 1000
MAX_DETAILS = 2000
MAX_VALUE = 200
MAX_FIELDS = 10


class DomainError(Exception):
    """A refusal with a gRPC code, a stable reason, and optionally an HTTP status and seconds to wait."""

    code = grpc.StatusCode.INTERNAL
    reason = ErrorReason.ERROR_REASON_UNSPECIFIED
    http_status: int | None = None
    retry_after: int | None = None
    fields: Mapping[str, str] = {}

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class Invalid(DomainError):
    """Wrong values: field path → what is wrong with it."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_INVALID_FIELD

    def __init__(self, fields: Mapping[str, str]) -> None:
        shown = "; ".join(f"{path}: {fault}" for path, fault in list(fields.items())[:MAX_FIELDS])
        super().__init__(shown)
        self.fields = fields


class NotFound(DomainError):
    """Unknown, malformed and another workspace's id alike: the message names the kind, never the id."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_NOT_FOUND

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind} not found")


class Unauthenticated(DomainError):
    """No credentials, or wrong ones."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = ErrorReason.ERROR_REASON_UNAUTHENTICATED


class ScopeMissing(DomainError):
    """The credentials are valid but may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_SCOPE_MISSING


class ForeignOrigin(DomainError):
    """A browser page of another origin tried to write with the user's cookie."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_FOREIGN_ORIGIN


class InUse(DomainError):
    """Something else still points to what was to be deleted."""

    code = grpc.StatusCode.ABORTED
    reason = ErrorReason.ERROR_REASON_IN_USE


class NameTaken(DomainError):
    """Another one bears this name already, where names are unique."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = ErrorReason.ERROR_REASON_NAME_TAKEN


class WrongState(DomainError):
    """The resource is past the state in which this can be done."""

    code = grpc.StatusCode.ABORTED
    reason = ErrorReason.ERROR_REASON_WRONG_STATE


class KeyReused(DomainError):
    """An Idempotency-Key came again with another body."""

    code = grpc.StatusCode.ABORTED
    reason = ErrorReason.ERROR_REASON_IDEMPOTENCY_KEY_REUSED


class KeyInFlight(DomainError):
    """The first request with this Idempotency-Key hasn't ended yet."""

    code = grpc.StatusCode.ABORTED
    reason = ErrorReason.ERROR_REASON_IDEMPOTENCY_KEY_IN_FLIGHT
    retry_after = 1


class TooLarge(DomainError):
    """More bytes than the contract allows."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_TOO_LARGE
    http_status = 413


class EmptySet(DomainError):
    """A run of a test set without cases."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_EMPTY_SET


class RateLimited(DomainError):
    """More requests than a credential may make; `seconds` until the next."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = ErrorReason.ERROR_REASON_RATE_LIMITED

    def __init__(self, seconds: int) -> None:
        super().__init__("too many requests")
        self.retry_after = seconds


class Unavailable(DomainError):
    """Something we depend on can't be reached; safe to repeat."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_UNAVAILABLE
    retry_after = 1


def to_status(error: DomainError) -> status_pb2.Status:
    """The rich status of an error, within the size that every hop carries."""
    info = error_details_pb2.ErrorInfo(
        reason=ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_"),
        domain=DOMAIN,
        metadata={key: cut(value, MAX_VALUE) for key, value in error.metadata.items()},
    )
    details = [_packed(info)]
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=cut(path, MAX_VALUE), description=cut(fault, MAX_VALUE))
            for path, fault in list(error.fields.items())[:MAX_FIELDS]
        ]
        bad = error_details_pb2.BadRequest(field_violations=violations)
        while bad.ByteSize() > MAX_DETAILS:
            del bad.field_violations[-1]
        details.append(_packed(bad))
    return status_pb2.Status(code=error.code.value[0], message=cut(error.message, MAX_MESSAGE), details=details)


def cut(text: str, size: int) -> str:
    """The beginning of a text that fits into so many bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def _packed(detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
