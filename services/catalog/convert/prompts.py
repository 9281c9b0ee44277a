"""Prompt, PromptApplication ⇄ message."""

from typing import Any
from uuid import UUID

from assay.catalog.v1 import prompts_pb2 as pb
from services.catalog.convert import fields
from services.catalog.entities.prompts import Application, Heading, Prompt, Use, title_faults
from shared.errors import Invalid
from shared.json_values import value
from shared.pages import Page


def heading(request: pb.CreatePromptRequest) -> Heading:
    """What is to be made. Raises Invalid for an id that is none, naming a wrong title too."""
    project_id = fields.body_id("projectId", request.project_id, title_faults(request.title)) if request.project_id else None
    return Heading(request.title, project_id)


def changes(request: pb.UpdatePromptRequest) -> dict[str, Any]:
    """What is to change, by name. Raises Invalid for an id that is none."""
    said = fields.given(request, ("title",))
    if request.HasField("project_id"):
        said["project_id"] = fields.body_id("projectId", request.project_id) if request.project_id else None
    return said


def wanted_id(field: str, text: str) -> UUID | None:
    """The id that a list is narrowed by, if there is one. Raises Invalid where it is malformed."""
    return fields.body_id(field, text) if text else None


def message(prompt: Prompt) -> pb.Prompt:
    """As it is shown."""
    project_id = prompt.heading.project_id
    return pb.Prompt(
        id=str(prompt.id),
        title=prompt.heading.title,
        project_id=value(str(project_id) if project_id else None),
        created_at=fields.timestamp(prompt.created_at),
        updated_at=fields.timestamp(prompt.updated_at),
        deleted_at=value(None),
    )


def page(found: Page[Prompt]) -> pb.ListPromptsResponse:
    """A page of them."""
    return pb.ListPromptsResponse(items=[message(prompt) for prompt in found.items], **fields.page_numbers(found))


def use(request: pb.CreatePromptApplicationRequest) -> Use:
    """What is to be made. Raises Invalid naming each wrong field."""
    wrong, ids = dict(title_faults(request.title)), {}
    for field, text in (("promptId", request.prompt_id), ("promptVersionId", request.prompt_version_id)):
        try:
            ids[field] = fields.body_id(field, text)
        except Invalid as fault:
            wrong.update(fault.fields)
    if wrong:
        raise Invalid(wrong)
    return Use(request.title, ids["promptId"], ids["promptVersionId"])


def use_changes(request: pb.UpdatePromptApplicationRequest) -> dict[str, Any]:
    """What is to change, by name. Raises Invalid for an id that is none."""
    said = fields.given(request, ("title",))
    if request.HasField("prompt_version_id"):
        said["version_id"] = fields.body_id("promptVersionId", request.prompt_version_id)
    return said


def application(found: Application) -> pb.PromptApplication:
    """As it is shown."""
    return pb.PromptApplication(
        id=str(found.id),
        prompt_id=str(found.use.prompt_id),
        prompt_version_id=str(found.use.version_id),
        title=found.use.title,
        created_at=fields.timestamp(found.created_at),
        updated_at=fields.timestamp(found.updated_at),
    )


def application_page(found: Page[Application]) -> pb.ListPromptApplicationsResponse:
    """A page of them."""
    return pb.ListPromptApplicationsResponse(items=[application(one) for one in found.items], **fields.page_numbers(found))
