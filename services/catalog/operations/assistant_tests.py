"""Making, changing, scheduling and removing assistant tests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from assay.catalog.internal.v1.events_pb2 import ScheduleSet, SubjectDeleted
from services.catalog.clients import Peers
from services.catalog.entities.assistant_tests import AssistantTest, Plan, Suite
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import agents, assistant_tests as store
from shared import outbox
from shared.errors import Invalid, NotFound
from shared.ids import new_id
from shared.outbox import Event
from shared.postgres import Connection as Sql, Database
from shared.topics import SCHEDULE_SET, SUBJECT_DELETED

TEST, SUITE = "assistant_test", "suite"


@dataclass(frozen=True)
class AssistantTests:
    """What can be done with assistant tests and their suites."""

    database: Database
    peers: Peers
    now: Clock

    async def create(self, workspace: UUID, said: Plan, creation: Creation[AssistantTest, Answer]) -> Answer:
        """Adds a test. Raises Invalid naming each wrong field, an unknown assistant too."""
        now, plan = self.now(), said.checked()
        blank = AssistantTest(new_id(), workspace, replace(plan, schedule=None), 0, now, now)
        made = blank.changed({"schedule": plan.schedule}, now)

        async def make(sql: Sql) -> AssistantTest:
            await _hold_destination(sql, made)
            await store.insert(sql, made)
            await _tell(sql, blank, made)
            return made

        return await creation.once(self.database, make)

    async def update(self, workspace: UUID, test_id: UUID, changes: Mapping[str, Any]) -> AssistantTest:
        """Changes what is given. Raises NotFound, or Invalid naming each wrong field."""
        async with self.database.transaction() as sql:
            found = await store.lock(sql, workspace, test_id)
            changed = found.changed(changes, self.now())
            if changed.plan.agent_id != found.plan.agent_id:
                await _hold_destination(sql, changed)
            await store.update(sql, changed)
            await _tell(sql, found, changed)
            if changed.plan.suite != found.plan.suite:
                await _left(sql, workspace, found.plan.suite)
        return changed

    async def delete(self, workspace: UUID, test_id: UUID) -> None:
        """Removes a test with its schedule, and tells the owners of its runs before it returns. Raises NotFound."""
        gone = SubjectDeleted(workspace_id=str(workspace), subject_id=str(test_id))
        async with self.database.transaction() as sql:
            found = await store.lock(sql, workspace, test_id)
            await store.delete(sql, workspace, test_id)
            await outbox.append(sql, [Event(SUBJECT_DELETED, gone, key=f"{SUBJECT_DELETED.name}:{test_id}")])
            await _tell(sql, found, found.changed({"schedule": None}, self.now()))
            await _left(sql, workspace, found.plan.suite)
        await self.peers.forget_subject(workspace, test_id)

    async def schedule_suite(self, workspace: UUID, name: str, changes: Mapping[str, Any]) -> Suite:
        """Sets or clears a suite's schedule. Raises NotFound for a suite without tests, Invalid for a wrong schedule."""
        async with self.database.transaction() as sql:
            await store.tests_of(sql, workspace, name)
            await store.add_suite(sql, workspace, name)
            found = await store.lock_suite(sql, workspace, name)
            changed = found.scheduled(changes.get("schedule", found.schedule))
            await _save_suite(sql, found, changed)
        return changed


async def _hold_destination(sql: Sql, test: AssistantTest) -> None:
    try:
        await agents.hold(sql, test.workspace_id, test.plan.agent_id)
    except NotFound:
        raise Invalid({"destination": "must be the id of an assistant"}) from None


async def _left(sql: Sql, workspace: UUID, suite: str | None) -> None:
    """Clears the schedule of a suite that its last test has left; the suite's row is locked first, since two may leave at once."""
    if suite is None:
        return
    found = await store.lock_suite(sql, workspace, suite)
    if found.schedule is not None and not await store.has_tests(sql, workspace, suite):
        await _save_suite(sql, found, found.scheduled(None))


async def _save_suite(sql: Sql, found: Suite, changed: Suite) -> None:
    if changed != found:
        await store.save_suite(sql, changed)
        await outbox.append(sql, [_scheduled(changed.workspace_id, SUITE, changed.name, changed.schedule, changed.schedule_revision)])


async def _tell(sql: Sql, before: AssistantTest, after: AssistantTest) -> None:
    """Tells of a test's schedule if that changed."""
    if after.schedule_revision != before.schedule_revision:
        event = _scheduled(after.workspace_id, TEST, str(after.id), after.plan.schedule, after.schedule_revision)
        await outbox.append(sql, [event])


def _scheduled(workspace: UUID, family: str, subject_id: str, schedule: str | None, revision: int) -> Event:
    said = ScheduleSet(workspace_id=str(workspace), family=family, subject_id=subject_id, cron=schedule or "", revision=revision)
    return Event(SCHEDULE_SET, said, key=f"{SCHEDULE_SET.name}:{workspace}:{family}:{subject_id}:{revision}")
