"""The templates: ways to judge, kept as data in templates/*.yaml. Who changes what one asks raises its version."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import yaml

FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One binary question of several; weight is percent."""

    weight: int
    asks: str


@dataclass(frozen=True, slots=True)
class Template:
    """A way to judge. A judge either takes one of `choices` (name → score) or says which of `criteria` hold (score: their weights).

    settings are JSON schemas by name. fallback tells what stands in for a judge: "expected" (comparison with the expected
    output), "lexicon", "rubric" or, where nothing does, "".
    """

    id: str
    name: str
    version: int
    kind: Literal["llm", "deterministic"]
    description: str
    required_keys: tuple[str, ...]
    tags: tuple[str, ...]
    passing_score: float
    instructions: str = ""
    choices: Mapping[str, float] = field(default_factory=dict)
    criteria: Mapping[str, Criterion] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    required_settings: tuple[str, ...] = ()
    fallback: Literal["", "expected", "lexicon", "rubric"] = ""

    @property
    def needs_model(self) -> bool:
        """Whether a judge is asked."""
        return self.kind == "llm"

    @property
    def scored_by(self) -> str:
        """As a score names it, e.g. "is_polite@1"."""
        return f"{self.name}@{self.version}"


class Registry:
    """Templates by name and by id."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._by_name = {template.name: template for template in sorted(templates, key=lambda template: template.name)}
        self._by_id = {template.id: template for template in self._by_name.values()}

    def all(self) -> Sequence[Template]:
        """Every template, by name."""
        return list(self._by_name.values())

    def get(self, name: str) -> Template | None:
        """The template of this name, or with this id."""
        return self._by_name.get(name) or self._by_id.get(name.lower())


def load(folder: Path = FOLDER) -> Registry:
    """Reads every template of a folder. Raises ValueError for a name or id that comes twice, TypeError for an unknown field."""
    read = [template for path in sorted(folder.glob("*.yaml")) for template in map(_template, yaml.safe_load(path.read_text()))]
    for of, told in (("name", [template.name for template in read]), ("id", [template.id for template in read])):
        if twice := {each for each in told if told.count(each) > 1}:
            raise ValueError(f"templates with the same {of}: {', '.join(sorted(twice))}")
    return Registry(read)


def _template(raw: Mapping[str, Any]) -> Template:
    known = dict(raw)
    for name in ("required_keys", "tags", "required_settings"):
        known[name] = tuple(known.get(name, ()))
    known["criteria"] = {name: Criterion(**criterion) for name, criterion in known.get("criteria", {}).items()}
    known["id"] = str(UUID(known["id"]))
    return Template(**known)
