"""The contracts: linted, commented, and nothing routed that isn't listed here."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from deploy.local.binaries import ROOT, script
from gateway.render import Address, Settings, render
from gateway.routed import public_services, read_descriptor

PROTOS = ROOT / "protos"
DESCRIPTOR = ROOT / "gen" / "assay.pb"
MAX_LINES = 350

# Verb, path, RPC without "assay.": whoever routes a new one lists it here, and thereby makes it public.
ROUTED = """
POST /v2/ai/assistants catalog.v1.AssistantService/CreateAssistant
GET /v2/ai/assistants catalog.v1.AssistantService/ListAssistants
GET /v2/ai/assistants/{assistant_id} catalog.v1.AssistantService/GetAssistant
POST /v2/ai/assistants/{assistant_id} catalog.v1.AssistantService/UpdateAssistant
PATCH /v2/ai/assistants/{assistant_id} catalog.v1.AssistantService/UpdateAssistant
DELETE /v2/ai/assistants/{assistant_id} catalog.v1.AssistantService/DeleteAssistant
POST /v2/ai/assistants/{assistant_id}/versions catalog.v1.AssistantService/CreateAssistantVersion
GET /v2/ai/assistants/{assistant_id}/versions catalog.v1.AssistantService/ListAssistantVersions
GET /v2/ai/assistants/{assistant_id}/versions/{version_id} catalog.v1.AssistantService/GetAssistantVersion
POST /v2/ai/assistants/{assistant_id}/versions/{version_id}/promote catalog.v1.AssistantService/PromoteAssistantVersion
POST /v2/ai/assistants/tests catalog.v1.AssistantTestService/CreateAssistantTest
GET /v2/ai/assistants/tests catalog.v1.AssistantTestService/ListAssistantTests
GET /v2/ai/assistants/tests/{test_id} catalog.v1.AssistantTestService/GetAssistantTest
PUT /v2/ai/assistants/tests/{test_id} catalog.v1.AssistantTestService/UpdateAssistantTest
DELETE /v2/ai/assistants/tests/{test_id} catalog.v1.AssistantTestService/DeleteAssistantTest
GET /v2/ai/assistants/tests/test-suites catalog.v1.AssistantTestService/ListTestSuites
PUT /v2/ai/assistants/tests/test-suites/{suite_name} catalog.v1.AssistantTestService/UpdateTestSuite
POST /v1/connections catalog.v1.ConnectionService/CreateConnection
GET /v1/connections catalog.v1.ConnectionService/ListConnections
GET /v1/connections/{connection_id} catalog.v1.ConnectionService/GetConnection
PUT /v1/connections/{connection_id} catalog.v1.ConnectionService/UpdateConnection
DELETE /v1/connections/{connection_id} catalog.v1.ConnectionService/DeleteConnection
POST /v1/contexts catalog.v1.ContextService/CreateContext
GET /v1/contexts catalog.v1.ContextService/ListContexts
GET /v1/contexts/{context_id} catalog.v1.ContextService/GetContext
PUT /v1/contexts/{context_id} catalog.v1.ContextService/UpdateContext
DELETE /v1/contexts/{context_id} catalog.v1.ContextService/DeleteContext
POST /api/v2/projects/{project_id}/prompt-datasets catalog.v1.PromptDatasetService/CreatePromptDataset
GET /api/v2/projects/{project_id}/prompt-datasets catalog.v1.PromptDatasetService/ListPromptDatasets
GET /api/v2/projects/{project_id}/prompt-datasets/{dataset_id} catalog.v1.PromptDatasetService/GetPromptDataset
PATCH /api/v2/projects/{project_id}/prompt-datasets/{dataset_id} catalog.v1.PromptDatasetService/UpdatePromptDataset
DELETE /api/v2/projects/{project_id}/prompt-datasets/{dataset_id} catalog.v1.PromptDatasetService/DeletePromptDataset
POST /api/v2/projects/{project_id}/prompt-datasets/{dataset_id}/test-cases/bulk catalog.v1.PromptDatasetService/BulkCreatePromptCases
POST /api/v2/projects/{project_id}/agent-datasets catalog.v1.AgentDatasetService/CreateAgentDataset
GET /api/v2/projects/{project_id}/agent-datasets catalog.v1.AgentDatasetService/ListAgentDatasets
GET /api/v2/projects/{project_id}/agent-datasets/{dataset_id} catalog.v1.AgentDatasetService/GetAgentDataset
PATCH /api/v2/projects/{project_id}/agent-datasets/{dataset_id} catalog.v1.AgentDatasetService/UpdateAgentDataset
DELETE /api/v2/projects/{project_id}/agent-datasets/{dataset_id} catalog.v1.AgentDatasetService/DeleteAgentDataset
POST /api/v2/projects/{project_id}/agent-datasets/{dataset_id}/test-cases/bulk catalog.v1.AgentDatasetService/BulkCreateAgentCases
GET /api/v2/projects/{project_id}/datasets/id/{dataset_id} catalog.v1.DatasetService/GetDataset
GET /api/v2/projects/{project_id}/datasets/name/{name} catalog.v1.DatasetService/GetDatasetByName
GET /api/v2/projects/{project_id}/datasets/id/{dataset_id}/test-cases catalog.v1.DatasetService/ListDatasetCases
GET /api/v2/projects/{project_id}/datasets/name/{name}/test-cases catalog.v1.DatasetService/ListDatasetCasesByName
POST /api/v2/projects/{project_id}/datasets/id/{dataset_id}/test-cases catalog.v1.DatasetService/CreateDatasetCases
POST /api/v2/projects/{project_id}/evaluation-criteria catalog.v1.EvaluationCriterionService/CreateEvaluationCriterion
GET /api/v2/projects/{project_id}/evaluation-criteria catalog.v1.EvaluationCriterionService/ListEvaluationCriteria
GET /api/v2/projects/{project_id}/evaluation-criteria/id/{criterion_id} catalog.v1.EvaluationCriterionService/GetEvaluationCriterion
PATCH /api/v2/projects/{project_id}/evaluation-criteria/id/{criterion_id} catalog.v1.EvaluationCriterionService/UpdateEvaluationCriterion
DELETE /api/v2/projects/{project_id}/evaluation-criteria/id/{criterion_id} catalog.v1.EvaluationCriterionService/DeleteEvaluationCriterion
POST /v1/evaluation/files catalog.v1.FileService/UploadFile
GET /v1/evaluation/files/{file_id} catalog.v1.FileService/GetFile
GET /v1/evaluation/test-sets/{test_set_id}/cases catalog.v1.TestCaseService/ListTestCases
POST /v1/evaluation/test-sets/{test_set_id}/cases catalog.v1.TestCaseService/CreateTestCase
PUT /v1/evaluation/test-sets/{test_set_id}/cases/{case_id} catalog.v1.TestCaseService/UpdateTestCase
DELETE /v1/evaluation/test-sets/{test_set_id}/cases/{case_id} catalog.v1.TestCaseService/DeleteTestCase
POST /v1/evaluation/test-sets/{test_set_id}/upload-csv catalog.v1.TestCaseService/UploadCsv
GET /v1/evaluation/template-csv catalog.v1.TestCaseService/GetCsvTemplate
GET /v1/evaluation/test-sets catalog.v1.TestSetService/ListTestSets
POST /v1/evaluation/test-sets catalog.v1.TestSetService/CreateTestSet
GET /v1/evaluation/test-sets/{test_set_id} catalog.v1.TestSetService/GetTestSet
PUT /v1/evaluation/test-sets/{test_set_id} catalog.v1.TestSetService/UpdateTestSet
DELETE /v1/evaluation/test-sets/{test_set_id} catalog.v1.TestSetService/DeleteTestSet
POST /prompt catalog.v1.PromptService/CreatePrompt
GET /prompt catalog.v1.PromptService/ListPrompts
GET /prompt/{prompt_id} catalog.v1.PromptService/GetPrompt
PATCH /prompt/{prompt_id} catalog.v1.PromptService/UpdatePrompt
DELETE /prompt/{prompt_id} catalog.v1.PromptService/DeletePrompt
POST /prompt-application catalog.v1.PromptApplicationService/CreatePromptApplication
GET /prompt-application catalog.v1.PromptApplicationService/ListPromptApplications
GET /prompt-application/{application_id} catalog.v1.PromptApplicationService/GetPromptApplication
PATCH /prompt-application/{application_id} catalog.v1.PromptApplicationService/UpdatePromptApplication
DELETE /prompt-application/{application_id} catalog.v1.PromptApplicationService/DeletePromptApplication
POST /prompt-version catalog.v1.PromptVersionService/CreatePromptVersion
GET /prompt-version catalog.v1.PromptVersionService/ListPromptVersions
GET /prompt-version/{version_id} catalog.v1.PromptVersionService/GetPromptVersion
PATCH /prompt-version/{version_id} catalog.v1.PromptVersionService/UpdatePromptVersion
DELETE /prompt-version/{version_id} catalog.v1.PromptVersionService/DeletePromptVersion
GET /test-case catalog.v1.PromptTestCaseService/ListPromptTestCases
POST /test-case catalog.v1.PromptTestCaseService/CreatePromptTestCases
GET /test-case/{test_case_id} catalog.v1.PromptTestCaseService/GetPromptTestCase
PATCH /test-case/{test_case_id} catalog.v1.PromptTestCaseService/UpdatePromptTestCase
DELETE /test-case/{test_case_id} catalog.v1.PromptTestCaseService/DeletePromptTestCase
GET /v1/evaluation/runs/{run_id} reporting.v1.ReportService/GetRun
GET /v1/evaluation/runs/{run_id}/results reporting.v1.ReportService/ListResults
GET /v1/evaluation/runs/{run_id}/export reporting.v1.ReportService/ExportResults
GET /v1/evaluation/runs/{run_id}/events reporting.v1.ReportService/StreamRunEvents
GET /v1/evaluation/test-sets/{test_set_id}/history reporting.v1.ReportService/ListRunHistory
GET /v1/evaluation/compare reporting.v1.ReportService/CompareRuns
GET /v2/ai/assistants/tests/{test_id}/runs reporting.v1.AssistantTestReportService/ListTestRuns
GET /v2/ai/assistants/tests/{test_id}/runs/{run_id} reporting.v1.AssistantTestReportService/GetTestRun
GET /v2/ai/assistants/tests/test-suites/{suite_name}/runs reporting.v1.AssistantTestReportService/ListSuiteRuns
GET /api/v2/projects/{project_id}/test-runs reporting.v1.ProjectTestRunReportService/ListProjectTestRuns
GET /api/v2/projects/{project_id}/test-runs/id/{test_run_id} reporting.v1.ProjectTestRunReportService/GetProjectTestRun
GET /simulate/run-tests/{run_test_id}/executions reporting.v1.SimulationReportService/ListExecutions
GET /simulate/run-tests/{run_test_id}/eval-summary reporting.v1.SimulationReportService/GetEvalSummary
POST /api/v2/projects/{project_id}/test-runs runner.v1.ProjectTestRunService/CreateProjectTestRun
POST /api/v2/projects/{project_id}/sessions/{session_id}/completions runner.v1.ProjectTestRunService/RecordCompletion
POST /api/v2/projects/{project_id}/sessions/{session_id}/traces/id/{trace_id} runner.v1.ProjectTestRunService/RecordTrace
POST /api/v2/projects/{project_id}/test-runs/id/{test_run_id}/close runner.v1.ProjectTestRunService/CloseProjectTestRun
POST /test-case/{id}/run runner.v1.PromptTestCaseRunService/RunPromptTestCase
POST /v2/ai/assistants/tests/{test_id}/runs runner.v1.AssistantTestRunService/TriggerTestRun
POST /v2/ai/assistants/tests/test-suites/{suite_name}/runs runner.v1.AssistantTestRunService/TriggerSuiteRuns
POST /simulate/run-tests/{run_test_id}/execute runner.v1.RunTestExecutionService/ExecuteRunTest
POST /simulate/run-tests/{run_test_id}/chat-execute runner.v1.ChatCallService/StartChatExecution
POST /simulate/test-executions/{execution_id}/chat/call-executions/batch runner.v1.ChatCallService/TakeCalls
POST /simulate/call-executions/{call_id}/chat/send-message runner.v1.ChatCallService/SendChatMessage
PATCH /simulate/call-executions/{call_id} runner.v1.ChatCallService/UpdateCall
POST /v1/evaluation/runs runner.v1.RunService/StartRun
POST /v1/evaluation/runs/{run_id}/cancel runner.v1.RunService/CancelRun
DELETE /v1/evaluation/runs/{run_id} runner.v1.RunService/DeleteRun
GET /model-hub/eval-groups/get_evals_list scoring.v1.TemplateService/ListEvals
POST /simulate/agent-definitions/create catalog.v1.AgentDefinitionService/CreateAgentDefinition
GET /simulate/agent-definitions catalog.v1.AgentDefinitionService/ListAgentDefinitions
GET /simulate/agent-definitions/{agent_id} catalog.v1.AgentDefinitionService/GetAgentDefinition
POST /simulate/agent-definitions/{agent_id}/versions/create catalog.v1.AgentDefinitionService/CreateAgentVersion
GET /simulate/agent-definitions/{agent_id}/versions catalog.v1.AgentDefinitionService/ListAgentVersions
POST /simulate/agent-definitions/{agent_id}/versions/{version_id}/activate catalog.v1.AgentDefinitionService/ActivateAgentVersion
POST /simulate/scenarios/create catalog.v1.ScenarioService/CreateScenario
GET /simulate/scenarios catalog.v1.ScenarioService/ListScenarios
GET /simulate/scenarios/{scenario_id} catalog.v1.ScenarioService/GetScenario
POST /simulate/run-tests/create catalog.v1.RunTestService/CreateRunTest
GET /simulate/run-tests catalog.v1.RunTestService/ListRunTests
GET /simulate/run-tests/{run_test_id} catalog.v1.RunTestService/GetRunTest
GET /simulate/run-tests/get-id-by-name/{name} catalog.v1.RunTestService/GetRunTestIdByName
PATCH /simulate/run-tests/{run_test_id} catalog.v1.RunTestService/UpdateRunTest
POST /simulate/run-tests/{run_test_id}/eval-configs catalog.v1.RunTestService/CreateEvalConfigs
DELETE /simulate/run-tests/{run_test_id} catalog.v1.RunTestService/DeleteRunTest
"""


@pytest.fixture(scope="module")
def descriptor() -> descriptor_pb2.FileDescriptorSet:
    return read_descriptor(DESCRIPTOR)


def _lint(image: Path) -> subprocess.CompletedProcess[str]:
    command = [script("buf"), "lint", f"{image}#format=binpb", "--config", str(PROTOS / "buf.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_buf_has_nothing_to_say() -> None:
    assert _lint(DESCRIPTOR).stdout == ""


@pytest.mark.parametrize("kind", ["field", "rpc"])
def test_whatever_has_no_comment_is_found(descriptor: descriptor_pb2.FileDescriptorSet, tmp_path: Path, kind: str) -> None:
    paths = {"field": [4, 0, 2, 0], "rpc": [6, 0, 2, 0]}  # the first of the first message and service
    stripped = descriptor_pb2.FileDescriptorSet.FromString(descriptor.SerializeToString())
    connections = next(file for file in stripped.file if file.name == "assay/catalog/v1/connections.proto")
    location = next(place for place in connections.source_code_info.location if place.path == paths[kind])
    location.ClearField("leading_comments")
    (tmp_path / "image.pb").write_bytes(stripped.SerializeToString())
    assert "should have a non-empty comment" in _lint(tmp_path / "image.pb").stdout


def _routed(descriptor: descriptor_pb2.FileDescriptorSet) -> Iterator[str]:
    for method in (method for service in public_services(descriptor) for method in service.methods):
        for route in method.routes:
            yield f"{route.verb} {route.path} {method.path.removeprefix('/assay.')}"


def test_the_routed_rpcs_are_exactly_these(descriptor: descriptor_pb2.FileDescriptorSet) -> None:
    assert sorted(_routed(descriptor)) == sorted(ROUTED.split("\n")[1:-1])


def test_envoy_is_given_these_rpcs_and_no_other() -> None:
    here = Address("127.0.0.1", 1)
    settings = Settings(here, here, dict.fromkeys(("catalog", "reporting", "runner", "scoring"), (here,)), DESCRIPTOR)
    manager = yaml.safe_load(render(settings))["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    rpcs = {line.split()[2] for line in ROUTED.split("\n")[1:-1]}
    assert {route["match"]["path"].removeprefix("/assay.") for route in routes if "path" in route["match"]} == rpcs
    assert [list(route["match"]) for route in routes if "path" not in route["match"]] == [["prefix", "headers"], ["prefix"]]
    transcoder = next(one["typed_config"] for one in manager["http_filters"] if "services" in one["typed_config"])
    assert {f"{service.removeprefix('assay.')}" for service in transcoder["services"]} == {rpc.split("/")[0] for rpc in rpcs}


def test_no_internal_package_is_routed_or_has_a_url(descriptor: descriptor_pb2.FileDescriptorSet) -> None:
    assert not [line for line in ROUTED.splitlines() if ".internal." in line]
    internal = [file for file in descriptor.file if ".internal." in file.package]
    assert len(internal) > 3
    for file in internal:
        for service in file.service:
            assert not [rpc.name for rpc in service.method if rpc.options.HasExtension(annotations_pb2.http)]


def test_every_public_rpc_has_a_url(descriptor: descriptor_pb2.FileDescriptorSet) -> None:
    assert not [method.path for service in public_services(descriptor) for method in service.methods if not method.routes]


def test_no_proto_is_longer_than_one_can_read() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in PROTOS.rglob("*.proto")}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}
