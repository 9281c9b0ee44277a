"""The registry over gRPC: for the other services, and for everybody."""

import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest

from assay.catalog.internal.v1.parts_pb2 import Evaluator
from assay.scoring.internal.v1 import templates_pb2 as internal
from assay.scoring.internal.v1.templates_pb2_grpc import TemplateInternalServiceStub, add_TemplateInternalServiceServicer_to_server
from assay.scoring.v1 import templates_pb2 as public
from assay.scoring.v1.templates_pb2_grpc import TemplateServiceStub, add_TemplateServiceServicer_to_server
from services.scoring import registry
from services.scoring.servicers.templates import TemplateInternalServicer, TemplateServicer
from shared import json_values
from shared.channels import ServiceIdentity, open_channel
from shared.identity import Credential, Identifier, Principal
from shared.ids import new_id
from shared.interceptors import Boundary
from tests.services.reporting.peers import SERVICE_KEY, serving


async def somebody(credential: Credential) -> Principal | None:
    return Principal(new_id(), frozenset(), "credential") if credential.token == "t0ken" else None


@contextlib.asynccontextmanager
async def asked() -> AsyncIterator[grpc.aio.Channel]:
    templates = registry.load()
    async with serving(
        lambda server: add_TemplateInternalServiceServicer_to_server(TemplateInternalServicer(templates), server),
        lambda server: add_TemplateServiceServicer_to_server(TemplateServicer(templates), server),
        boundary=Boundary(Identifier((), SERVICE_KEY, somebody)),
    ) as address:
        channel = open_channel(address)
        yield channel
        await channel.close()


def from_catalog() -> tuple[tuple[str, str], ...]:
    """A service's credentials, made for each call: they are short-lived."""
    return tuple(ServiceIdentity("catalog", SERVICE_KEY).metadata(new_id()))


async def test_every_template_is_listed_for_the_services() -> None:
    async with asked() as channel:
        answer = await TemplateInternalServiceStub(channel).ListTemplates(internal.ListTemplatesRequest(), metadata=from_catalog())
    [polite] = [template for template in answer.templates if template.name == "is_polite"]
    assert polite.id == "122a4e83-4c5e-4a17-bcfc-1d29affba6f9"
    assert (polite.version, list(polite.required_keys), polite.needs_model, polite.passing_score) == (1, ["output"], True, 1.0)
    assert len(answer.templates) == len(registry.load().all())


async def test_faults_name_the_evaluator_and_its_field() -> None:
    good = Evaluator(name="a", template="regex", mapping={"output": "output"}, config=json_values.struct({"pattern": "x"}))
    bad = Evaluator(name="b", template="5419b2e4-f155-4f0f-846f-0a3f848a74be", mapping={"input": "magic"}, passing_score=0.0)
    request = internal.CheckEvaluatorsRequest(evaluators=[good, bad, Evaluator(name="c", template="telepathy")])
    async with asked() as channel:
        answer = await TemplateInternalServiceStub(channel).CheckEvaluators(request, metadata=from_catalog())
    told = [(fault.index, fault.field, fault.unknown_template) for fault in answer.faults]
    assert told == [(1, "mapping.output", False), (1, "mapping.input", False), (2, "template", True)]
    assert [template.name for template in answer.templates] == ["regex", "task_completion", ""]


async def test_everybody_reads_what_the_client_libraries_expect() -> None:
    async with asked() as channel:
        answer = await TemplateServiceStub(channel).ListEvals(public.ListEvalsRequest(), metadata=(("authorization", "Bearer t0ken"),))
    [one] = [each for each in answer.evals if each.name == "task_completion"]
    assert (one.id, one.eval_template_name) == ("5419b2e4-f155-4f0f-846f-0a3f848a74be", "task_completion")
    assert (list(one.eval_required_keys), one.is_model_required, one.type) == (["input", "output"], True, "futureagi_built")


async def test_nobody_reads_templates_without_credentials() -> None:
    async with asked() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await TemplateServiceStub(channel).ListEvals(public.ListEvalsRequest())
        with pytest.raises(grpc.aio.AioRpcError) as also:
            await TemplateInternalServiceStub(channel).ListTemplates(internal.ListTemplatesRequest())
    assert refused.value.code() == also.value.code() == grpc.StatusCode.UNAUTHENTICATED
