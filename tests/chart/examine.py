"""Answers questions about manifests in the environment of the tools (deploy/requirements-chart.lock), which isn't ours.

examine.py core VERSION|custom|promql <JSON on standard input; prints a JSON list of faults.
"""

import functools
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions, major_minor, schema_contents
from referencing import Registry, Resource

MODELS = {
    ("keda.sh/v1alpha1", "ScaledObject"): "keda.v1alpha1",
    ("monitoring.coreos.com/v1", "ServiceMonitor"): "prometheus_operator.v1",
    ("monitoring.coreos.com/v1", "PodMonitor"): "prometheus_operator.v1",
    ("monitoring.coreos.com/v1", "PrometheusRule"): "prometheus_operator.v1",
    ("cert-manager.io/v1", "Issuer"): "cert_manager.v1",
    ("cert-manager.io/v1", "Certificate"): "cert_manager.v1",
}
"""Custom resources: the module of cloudcoil.models with their type, imported where it is needed: that takes seconds."""

Document = dict[str, Any]


def core(documents: list[Document], version: str) -> Iterator[str]:
    """Faults of documents for a version of Kubernetes, custom resources aside; an unknown kind is one."""
    for document in documents:
        api, kind = document["apiVersion"], document["kind"]
        if (api, kind) in MODELS:
            continue
        try:
            found = [fault.message for fault in validator(version, api, kind).iter_errors(document)]
        except FileNotFoundError:
            found = [f"{api} has no such kind"]
        yield from (f"{kind}/{document['metadata']['name']}: {fault}" for fault in found)


def custom(documents: list[Document]) -> Iterator[str]:
    """Faults of the custom resources among documents: wrong types, missing fields, and fields that their types don't know."""
    for document in documents:
        module = MODELS.get((document["apiVersion"], document["kind"]))
        if module is None:
            continue
        model = getattr(importlib.import_module(f"cloudcoil.models.{module}"), document["kind"])
        try:
            known = model.model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
            found = list(lost(document, known, ""))
        except ValueError as fault:
            found = [str(fault)]
        yield from (f"{document['kind']}/{document['metadata']['name']}: {fault}" for fault in found)


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


def main(question: str, *details: str) -> None:
    """The command line."""
    questions: dict[str, Callable[..., Iterator[str]]] = {"core": core, "custom": custom, "promql": promql}
    print(json.dumps(list(questions[question](json.load(sys.stdin), *details))))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(*sys.argv[1:])
