"""assay.catalog.v1.ScenarioService."""

from assay.catalog.v1 import scenarios_pb2 as pb, scenarios_pb2_grpc
from services.catalog.convert import numbered_pages, scenarios as convert
from services.catalog.operations.scenarios import Scenarios
from services.catalog.servicers.answering import creation
from services.catalog.store import scenarios as store
from shared.identity import workspace
from shared.ids import parse_id
from shared.interceptors import Context
from shared.server import answer_with


class ScenarioServicer(scenarios_pb2_grpc.ScenarioServiceServicer):
    """Scenarios of the caller's workspace."""

    def __init__(self, scenarios: Scenarios, public_url: str) -> None:
        self._scenarios, self._database = scenarios, scenarios.database
        self._url = f"{public_url}/simulate/scenarios/"

    async def CreateScenario(self, request: pb.CreateScenarioRequest, context: Context) -> pb.CreateScenarioResponse:
        answering = creation(context, request, pb.CreateScenarioResponse, convert.created)
        made = await self._scenarios.create(workspace(), convert.outline(request), answering)
        await answer_with(context, 201)
        return made

    async def ListScenarios(self, request: pb.ListScenariosRequest, context: Context) -> pb.ListScenariosResponse:  # noqa: ARG002
        wanted = numbered_pages.wanted(request)
        async with self._database.connection() as sql:
            found = await store.page(sql, workspace(), wanted, request.search)
        envelope = numbered_pages.envelope(found, request, self._url)
        return pb.ListScenariosResponse(results=[convert.message(one) for one in found.items], **envelope)

    async def GetScenario(self, request: pb.GetScenarioRequest, context: Context) -> pb.Scenario:  # noqa: ARG002
        async with self._database.connection() as sql:
            return convert.message(await store.get(sql, workspace(), parse_id(request.scenario_id, store.KIND)))
