"""Builders of family C: prompts, their versions, applications and test cases, as the gateway would put them."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from assay.catalog.internal.v1 import subjects_pb2 as subjects_pb, subjects_pb2_grpc
from assay.catalog.v1 import (
    prompt_test_cases_pb2 as cases_pb,
    prompt_test_cases_pb2_grpc,
    prompt_versions_pb2 as versions_pb,
    prompt_versions_pb2_grpc,
    prompts_pb2 as pb,
    prompts_pb2_grpc,
)
from assay.reporting.internal.v1.reporting_pb2 import Generation
from shared.json_values import plain, value
from tests.services.catalog.house import Caller, House

Json = dict[str, Any]


def shown(message: Any) -> Json:
    """As the gateway prints it: zero values and empty arrays are there, what is unset is not."""
    printed: Json = MessageToDict(message, always_print_fields_with_no_presence=True)
    return printed


@dataclass
class PromptUser:
    """The running catalog as users of family C and its own runner see it; what is said is JSON."""

    house: House
    caller: Caller

    def __post_init__(self) -> None:
        channel = self.house.channel
        self.rpc: Any = prompts_pb2_grpc.PromptServiceStub(channel)
        self.versions: Any = prompt_versions_pb2_grpc.PromptVersionServiceStub(channel)
        self.applications: Any = prompts_pb2_grpc.PromptApplicationServiceStub(channel)
        self.cases: Any = prompt_test_cases_pb2_grpc.PromptTestCaseServiceStub(channel)
        self.subjects: Any = subjects_pb2_grpc.SubjectInternalServiceStub(channel)
        self.metadata = self.caller.metadata

    async def prompt(self, **said: Any) -> Json:
        request = ParseDict({"title": "p", **said}, pb.CreatePromptRequest())
        return shown(await self.rpc.CreatePrompt(request, metadata=self.metadata))

    async def deleted(self, prompt_id: str) -> None:
        await self.rpc.DeletePrompt(pb.DeletePromptRequest(prompt_id=prompt_id), metadata=self.metadata)

    async def version(self, prompt_id: str, **said: Any) -> Json:
        request = ParseDict({"promptId": prompt_id, **said}, versions_pb.CreatePromptVersionRequest())
        return shown(await self.versions.CreatePromptVersion(request, metadata=self.metadata))

    async def version_read(self, version_id: str) -> Json:
        request = versions_pb.GetPromptVersionRequest(version_id=version_id)
        return shown(await self.versions.GetPromptVersion(request, metadata=self.metadata))

    async def version_changed(self, version_id: str, **said: Any) -> Json:
        request = ParseDict({"version_id": version_id, **said}, versions_pb.UpdatePromptVersionRequest())
        return shown(await self.versions.UpdatePromptVersion(request, metadata=self.metadata))

    async def version_deleted(self, version_id: str) -> None:
        await self.versions.DeletePromptVersion(versions_pb.DeletePromptVersionRequest(version_id=version_id), metadata=self.metadata)

    async def application(self, **said: Any) -> Json:
        request = ParseDict({"title": "a", **said}, pb.CreatePromptApplicationRequest())
        return shown(await self.applications.CreatePromptApplication(request, metadata=self.metadata))

    async def posted(self, body: Any) -> Any:
        request = cases_pb.CreatePromptTestCasesRequest(test_cases=value(body))
        return plain(await self.cases.CreatePromptTestCases(request, metadata=self.metadata))

    async def case(self, prompt_id: str, **said: Any) -> Json:
        made: Json = await self.posted({"promptId": prompt_id, **said})
        return made

    async def case_read(self, case_id: str) -> Json:
        return shown(await self.cases.GetPromptTestCase(cases_pb.GetPromptTestCaseRequest(test_case_id=case_id), metadata=self.metadata))

    async def case_changed(self, case_id: str, **said: Any) -> Json:
        request = ParseDict({"test_case_id": case_id, **said}, cases_pb.UpdatePromptTestCaseRequest())
        return shown(await self.cases.UpdatePromptTestCase(request, metadata=self.metadata))

    async def case_deleted(self, case_id: str) -> None:
        await self.cases.DeletePromptTestCase(cases_pb.DeletePromptTestCaseRequest(test_case_id=case_id), metadata=self.metadata)

    async def listed(self, prompt_id: str, *versions: str, generations: bool = False) -> list[Json]:
        request = cases_pb.ListPromptTestCasesRequest(prompt_id=prompt_id, prompt_version_ids=versions, include_generations=generations)
        return [shown(case) async for case in self.cases.ListPromptTestCases(request, metadata=self.metadata)]

    async def opened(self, case_id: str, version_id: str = "") -> tuple[subjects_pb.Subject, Any]:
        """The subject and its one case."""
        request = subjects_pb.OpenSubjectRequest(family="prompt_test_case", subject_id=case_id, version_id=version_id)
        metadata = self.house.as_service(self.caller)
        subject, cases = [part async for part in self.subjects.OpenSubject(request, metadata=metadata)]
        [case] = cases.cases.cases
        return subject.subject, case

    async def check(self, family: str, subject_id: str) -> None:
        request = subjects_pb.CheckSubjectRequest(family=family, subject_id=subject_id)
        await self.subjects.CheckSubject(request, metadata=self.house.as_service(self.caller))

    def generated(self, case_id: str, version_id: str, **said: Any) -> Generation:
        """A generation that reporting knows from now on."""
        made = ParseDict(
            {
                "id": "g",
                "testCaseId": case_id,
                "promptVersionId": version_id,
                "status": "running",
                "createdAt": "2026-01-01T00:00:00Z",
                **said,
            },
            Generation(),
        )
        self.house.forgetful.generations.append(made)
        return made
