"""Making scenarios."""

from dataclasses import dataclass
from uuid import UUID

from services.catalog.entities.scenarios import Outline, Scenario
from services.catalog.operations.creation import Answer, Clock, Creation
from services.catalog.store import scenarios as store
from shared.errors import NotFound
from shared.ids import new_id
from shared.postgres import Connection as Sql, Database


@dataclass(frozen=True)
class Scenarios:
    """What can be done with scenarios."""

    database: Database
    now: Clock

    async def create(self, workspace: UUID, said: Outline, creation: Creation[Scenario, Answer]) -> Answer:
        """Adds a scenario. Raises Invalid naming each wrong field, NotFound for the dataset."""
        now = self.now()
        made = Scenario(new_id(), workspace, said.checked(), now, now)

        async def make(sql: Sql) -> Scenario:
            if said.dataset_id is not None and not await store.dataset_revisions(sql, workspace, [said.dataset_id]):
                raise NotFound(store.DATASET_KIND)
            await store.insert(sql, made)
            return made

        return await creation.once(self.database, make)
