"""Domain errors as rich statuses."""

from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, strategies as st

from shared.errors import DomainError, Invalid, KeyInFlight, NotFound, TooLarge, Unavailable, WrongState, cut, to_status

MAX_STATUS = 3500
# Surrogates are in no message: protobuf can't carry them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


def _info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


def _fields(status: status_pb2.Status) -> dict[str, str]:
    bad = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad)
    return {each.field: each.description for each in bad.field_violations}


def test_an_error_carries_code_message_reason_and_domain() -> None:
    status = to_status(WrongState("a completed run can't be cancelled", state="completed"))
    assert (status.code, status.message) == (10, "a completed run can't be cancelled")
    info = _info(status)
    assert (info.reason, info.domain, dict(info.metadata)) == ("WRONG_STATE", "assay", {"state": "completed"})


def test_what_is_not_found_is_named_by_its_kind_alone() -> None:
    assert to_status(NotFound("test set")).message == "test set not found"


def test_wrong_fields_are_listed() -> None:
    status = to_status(Invalid({"name": "must not be empty", "tags[3]": "too long"}))
    assert status.message == "name: must not be empty; tags[3]: too long"
    assert _fields(status) == {"name": "must not be empty", "tags[3]": "too long"}


def test_no_more_than_ten_fields_are_listed() -> None:
    status = to_status(Invalid({f"f{number}": "wrong" for number in range(1000)}))
    assert len(_fields(status)) == 10


def test_what_may_be_repeated_says_when() -> None:
    assert [KeyInFlight.retry_after, Unavailable.retry_after, TooLarge.http_status] == [1, 1, 413]


@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=30))
def test_a_status_of_any_fields_fits_into_its_bytes(fields: dict[str, str]) -> None:
    assert to_status(Invalid(fields)).ByteSize() <= MAX_STATUS


@given(TEXTS, TEXTS)
def test_a_status_of_any_message_fits_into_its_bytes(message: str, value: str) -> None:
    assert to_status(DomainError(message, state=value)).ByteSize() <= MAX_STATUS


def test_long_texts_beyond_ascii_are_cut_by_bytes_and_between_characters() -> None:
    status = to_status(Invalid({"naïveté" * 100: "é" * 5000}))
    assert status.ByteSize() <= MAX_STATUS
    assert cut("aé", 2) == "a"
    assert cut("aé", 3) == "aé"
