"""Case of a dataset ⇄ message, as each of its services spells it, and → what a run keeps."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from assay.catalog.internal.v1 import catalog_pb2
from assay.catalog.v1 import agent_datasets_pb2 as agent_pb, datasets_pb2 as pb, prompt_datasets_pb2 as prompt_pb
from services.catalog.entities.dataset_cases import DatasetCase, Example
from shared.json_values import plain, struct, value


def examples(said: Sequence[pb.NewDatasetCase]) -> list[Example]:
    """Cases that are to be made."""
    return [_example(one) for one in said]


def _example(said: pb.NewDatasetCase) -> Example:
    outputs = plain(said.outputs)
    return Example(
        plain(said.inputs),
        plain(said.output) if outputs is None else outputs,
        plain(said.output_message),
        plain(said.metadata),
        plain(said.history),
        plain(said.media_inputs),
    )


def message(case_id: UUID, content: Mapping[str, Any]) -> pb.DatasetCase:
    """As it is shown where the kind doesn't matter."""
    given = content.get("input")
    return pb.DatasetCase(
        id=str(case_id),
        values=value(content["values"] if "values" in content else given if isinstance(given, dict) else None),
        output=value(content["output"]),
        output_message=value(content.get("output_message")),
        history=value(content.get("history")),
        metadata=value(content["metadata"]),
        input=value(given) if "input" in content else None,
    )


def prompt_message(case: DatasetCase) -> prompt_pb.PromptDatasetCase:
    """As it is shown in a prompt dataset."""
    content = case.content
    inputs = value(content["values"])
    return prompt_pb.PromptDatasetCase(
        id=str(case.id),
        inputs=inputs,
        values=inputs,
        output=value(content["output"]),
        output_message=value(content["output_message"]),
        metadata=value(content["metadata"]),
        history=value(content["history"]),
        media_inputs=value(content["media_variables"]),
    )


def agent_message(case: DatasetCase) -> agent_pb.AgentDatasetCase:
    """As it is shown in an agent dataset."""
    content = case.content
    said = {field: value(content[field]) for field in ("input", "output", "metadata")}
    return agent_pb.AgentDatasetCase(id=str(case.id), **said)


def made(cases: Sequence[DatasetCase]) -> pb.CreateDatasetCasesResponse:
    """The cases that were made."""
    return pb.CreateDatasetCasesResponse(data=[message(case.id, case.content) for case in cases])


def made_prompts(cases: Sequence[DatasetCase]) -> prompt_pb.BulkCreatePromptCasesResponse:
    """The cases of a prompt dataset that were made."""
    return prompt_pb.BulkCreatePromptCasesResponse(data=[prompt_message(case) for case in cases])


def made_agents(cases: Sequence[DatasetCase]) -> agent_pb.BulkCreateAgentCasesResponse:
    """The cases of an agent dataset that were made."""
    return agent_pb.BulkCreateAgentCasesResponse(data=[agent_message(case) for case in cases])


def batch(rows: Sequence[asyncpg.Record]) -> catalog_pb2.CaseBatch:
    """Rows of cases, made straight into what a run keeps."""
    return catalog_pb2.CaseBatch(
        cases=[
            catalog_pb2.Case(id=str(row["id"]), question=row["question"], expected=row["expected_response"], content=struct(row["content"]))
            for row in rows
        ]
    )
