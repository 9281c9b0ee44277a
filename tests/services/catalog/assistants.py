"""Builders of family E: assistants, their tests, and what the outbox says of schedules."""

from dataclasses import dataclass
from typing import Any

from assay.catalog.internal.v1 import events_pb2, subjects_pb2 as subjects_pb, subjects_pb2_grpc
from assay.catalog.v1 import assistant_tests_pb2 as tests_pb, assistant_tests_pb2_grpc, assistants_pb2 as pb, assistants_pb2_grpc
from tests.services.catalog.house import Caller, House

RUBRIC = ({"name": "greets", "criteria": "contains: hello"},)


def a_test_request(**said: Any) -> tests_pb.CreateAssistantTestRequest:
    return tests_pb.CreateAssistantTestRequest(**{"name": "t", "instructions": "Say hello.", "rubric": RUBRIC, **said})


@dataclass
class Assistants:
    """The running catalog as users of family E and its own runner see it."""

    house: House

    def __post_init__(self) -> None:
        self.rpc: Any = assistants_pb2_grpc.AssistantServiceStub(self.house.channel)
        self.tests: Any = assistant_tests_pb2_grpc.AssistantTestServiceStub(self.house.channel)
        self.subjects: Any = subjects_pb2_grpc.SubjectInternalServiceStub(self.house.channel)
        self.us = self.house.us.metadata

    async def made(self, caller: Caller | None = None, **said: Any) -> pb.Assistant:
        request = pb.CreateAssistantRequest(**{"name": "helper", **said})
        answer: pb.Assistant = await self.rpc.CreateAssistant(request, metadata=(caller or self.house.us).metadata)
        return answer

    async def read(self, assistant_id: str) -> pb.Assistant:
        answer: pb.Assistant = await self.rpc.GetAssistant(pb.GetAssistantRequest(assistant_id=assistant_id), metadata=self.us)
        return answer

    async def updated(self, assistant_id: str, **said: Any) -> pb.Assistant:
        request = pb.UpdateAssistantRequest(assistant_id=assistant_id, **said)
        answer: pb.Assistant = await self.rpc.UpdateAssistant(request, metadata=self.us)
        return answer

    async def a_version(self, assistant_id: str, **said: Any) -> pb.AssistantVersion:
        request = pb.CreateAssistantVersionRequest(assistant_id=assistant_id, **said)
        answer: pb.AssistantVersion = await self.rpc.CreateAssistantVersion(request, metadata=self.us)
        return answer

    async def deleted(self, assistant_id: str) -> pb.DeleteAssistantResponse:
        request = pb.DeleteAssistantRequest(assistant_id=assistant_id)
        answer: pb.DeleteAssistantResponse = await self.rpc.DeleteAssistant(request, metadata=self.us)
        return answer

    async def a_test(self, caller: Caller | None = None, **said: Any) -> tests_pb.AssistantTest:
        if "destination" not in said:
            said["destination"] = (await self.made(caller)).id
        request = a_test_request(**said)
        answer: tests_pb.AssistantTest = await self.tests.CreateAssistantTest(request, metadata=(caller or self.house.us).metadata)
        return answer

    async def changed_test(self, test_id: str, **said: Any) -> tests_pb.AssistantTest:
        request = tests_pb.UpdateAssistantTestRequest(test_id=test_id, **said)
        answer: tests_pb.AssistantTest = await self.tests.UpdateAssistantTest(request, metadata=self.us)
        return answer

    async def delete_test(self, test_id: str) -> None:
        await self.tests.DeleteAssistantTest(tests_pb.DeleteAssistantTestRequest(test_id=test_id), metadata=self.us)

    async def schedule_suite(self, name: str, **said: Any) -> tests_pb.TestSuite:
        request = tests_pb.UpdateTestSuiteRequest(suite_name=name, **said)
        answer: tests_pb.TestSuite = await self.tests.UpdateTestSuite(request, metadata=self.us)
        return answer

    async def opened(self, test_id: str, version_id: str = "", family: str = "assistant_test") -> list[subjects_pb.SubjectPart]:
        request = subjects_pb.OpenSubjectRequest(family=family, subject_id=test_id, version_id=version_id)
        return [part async for part in self.subjects.OpenSubject(request, metadata=self.house.as_service())]

    async def schedules_told(self) -> list[tuple[str, str, str, int]]:
        """(family, subject, cron, revision) of every event about a schedule of our workspace, in order."""
        async with self.house.database.connection() as sql:
            rows = await sql.fetch("SELECT payload FROM outbox WHERE topic = 'catalog.schedule_set' ORDER BY id")
        told = [events_pb2.ScheduleSet.FromString(row["payload"]) for row in rows]
        ours = [event for event in told if event.workspace_id == str(self.house.us.workspace)]
        return [(event.family, event.subject_id, event.cron, event.revision) for event in ours]
