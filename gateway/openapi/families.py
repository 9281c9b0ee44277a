"""The API families, as the document groups them, told apart by the paths of their operations."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One documented API."""

    name: str
    """The tag of its operations."""
    paths: re.Pattern[str]
    """What its paths begin with."""
    description: str


FAMILIES = (
    Family(
        "Project test runs",
        re.compile(r"/api/v2/projects/"),
        "Datasets of a project, runs that the client executes, and what was recorded of them. What may be null is always there.",
    ),
    Family(
        "Simulation run tests",
        re.compile(r"/simulate/|/model-hub/"),
        "Scenarios against versions of an agent, judged by evaluations. Bodies may spell their keys in camelCase or in snake_case.",
    ),
    Family(
        "Prompt test cases",
        re.compile(r"/prompt|/test-case"),
        "Prompts, their versions, applications and test cases, and what was generated for them. What may be null is always there.",
    ),
    Family(
        "Evaluation test sets",
        re.compile(r"/v1/"),
        "Test sets, cases, CSV, files, runs, results, history and comparison; contexts and connections. Needs the scope `studio`.",
    ),
    Family(
        "Assistant tests",
        re.compile(r"/v2/ai/assistants"),
        "Assistants with versions, and conversational tests of them with a rubric, alone, in suites or by a schedule.",
    ),
)


def family_of(path: str) -> Family:
    """The family of a path. Raises ValueError if there is none."""
    for family in FAMILIES:
        if family.paths.match(path):
            return family
    raise ValueError(f"{path} belongs to no family: see gateway/openapi/families.py")
