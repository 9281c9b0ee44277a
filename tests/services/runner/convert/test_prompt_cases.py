"""What is to be generated, as it is asked for."""

import pytest

from assay.runner.v1 import prompt_test_case_runs_pb2 as pb
from services.runner.convert import prompt_cases as convert
from shared.errors import Invalid, NotFound
from shared.ids import new_id

CASE, VERSION = new_id(), new_id()


def test_ids_are_told_in_canonical_form() -> None:
    assert convert.wanted(pb.RunPromptTestCaseRequest(id=str(CASE).upper(), prompt_version_id=str(VERSION))) == (CASE, VERSION)


@pytest.mark.parametrize(("version", "fault"), [("", "is required"), ("x", "must be a UUID")])
def test_a_wrong_version_is_named(version: str, fault: str) -> None:
    with pytest.raises(Invalid) as refused:
        convert.wanted(pb.RunPromptTestCaseRequest(id=str(CASE), prompt_version_id=version))
    assert refused.value.fields == {"promptVersionId": fault}


def test_a_malformed_case_is_not_found_whatever_the_body() -> None:
    with pytest.raises(NotFound, match="test case not found"):
        convert.wanted(pb.RunPromptTestCaseRequest(id="x"))
