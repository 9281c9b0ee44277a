"""The ids of templates by name: asked once, since neither ever changes, and again for a name that is new."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from services.catalog.clients import Peers


@dataclass
class TemplateIds:
    """What the registry of templates has told so far."""

    peers: Peers
    known: Mapping[str, str] = field(default_factory=dict)

    async def of(self, workspace: UUID, names: Collection[str]) -> Mapping[str, str]:
        """The ids of at least these templates, by name. Raises Unavailable if the registry is needed and away."""
        if not self.known.keys() >= set(names):
            self.known = await self.peers.template_ids(workspace)
        return self.known
