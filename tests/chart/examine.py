"""Answers questions about manifests in the environment of the tools (deploy/requirements-chart.lock), which isn't ours.

examine.py schemas|resources|promql <JSON on standard input; prints a JSON list of faults.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser
import pydantic
from cloudcoil.models.cert_manager import v1 as cert_manager
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions, major_minor, schema_contents
from referencing import Registry, Resource

MODELS = {
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): prometheus.ServiceMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): prometheus.PrometheusRule,
    ("cert-manager.io/v1", "Issuer"): cert_manager.Issuer,
    ("cert-manager.io/v1", "Certificate"): cert_manager.Certificate,
}
"""Custom resources: what their types are. Core kinds are known to kubernetes-validate."""


def schemas(documents: list[dict[str, Any]], version: str) -> Iterator[str]:
    """Faults of documents for a version of Kubernetes; an unknown kind is one."""
    for document in documents:
        api, kind = document["apiVersion"], document["kind"]
        name = f"{version} {kind}/{document['metadata']['name']}"
        model = MODELS.get((api, kind))
        try:
            found = (
                faults_of(document, model) if model else [fault.message for fault in validator(version, api, kind).iter_errors(document)]
            )
        except FileNotFoundError:
            found = [f"{api} has no such kind"]
        yield from (f"{name}: {fault}" for fault in found)


@functools.cache
def validator(version: str, api: str, kind: str) -> Draft202012Validator:
    """The strict schema of a core kind. Raises FileNotFoundError. The package's own function reads all definitions for each document."""
    group, _, number = api.rpartition("/")
    file = f"{kind.lower()}-{group.partition('.')[0] + '-' if group else ''}{number}.json"
    schema = schema_contents(f"{folder(version)}/{file}", version)
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ definitions(version))


@functools.cache
def definitions(version: str) -> Registry[Any]:
    """What the schemas of a version refer to."""
    return Resource.from_contents(schema_contents(f"{folder(version)}/_definitions.json", version)) @ Registry()


def folder(version: str) -> str:
    """Where the strict schemas of a version are; none but that version's own will do."""
    (full,) = {known for known in all_versions() if major_minor(known) == version}
    return f"kubernetes-json-schema/v{full}-local-strict"


def faults_of(document: dict[str, Any], model: type[pydantic.BaseModel]) -> list[str]:
    """What the type of a custom resource says: wrong types, missing fields, and fields that it doesn't know."""
    try:
        known = model.model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except pydantic.ValidationError as fault:
        return [str(fault)]
    return list(lost(document, known, ""))


def lost(given: object, known: object, path: str) -> Iterator[str]:
    """The fields of `given` that are not in `known`: models drop what they have no field for."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key not in known:
                yield f"{path}.{key} is unknown"
            else:
                yield from lost(value, known[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(known, list):
        for index, (value, kept) in enumerate(zip(given, known, strict=True)):
            yield from lost(value, kept, f"{path}[{index}]")


def promql(expressions: list[str]) -> Iterator[str]:
    """Expressions that Prometheus could not parse."""
    for expression in expressions:
        try:
            promql_parser.parse(expression)
        except ValueError as fault:
            yield f"{expression}: {fault}"


def all_schemas(given: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Faults of version -> documents."""
    for version, documents in given.items():
        yield from schemas(documents, version)


QUESTIONS: dict[str, Callable[[Any], Iterator[str]]] = {"schemas": all_schemas, "promql": promql}

if __name__ == "__main__":
    print(json.dumps(list(QUESTIONS[sys.argv[1]](json.load(sys.stdin)))))  # noqa: T201 - its answer
