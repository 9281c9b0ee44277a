"""The templates are complete, keep their ids, and can all be used."""

import re
from pathlib import Path

import pytest

from services.scoring import registry, schemas
from services.scoring.registry import Template

REGISTRY = registry.load()
# Clients hold these; whoever changes one breaks them.
KNOWN_IDS = {
    "task_completion": "5419b2e4-f155-4f0f-846f-0a3f848a74be",
    "is_polite": "122a4e83-4c5e-4a17-bcfc-1d29affba6f9",
}
JUDGED = """task_completion is_polite is_helpful is_concise completeness summary_quality toxicity bias_detection prompt_injection pii
    context_adherence groundedness context_relevance conversation_coherence conversation_resolution answer_refusal
    evaluate_function_calling prompt_adherence translation_accuracy rubric_criterion""".split()  # noqa: SIM905 reads better
DETERMINISTIC = """equals contains contains_all contains_any contains_none starts_with ends_with regex is_json json_schema is_email
    is_url one_line length_less_than length_greater_than length_between levenshtein jaccard fuzzy numeric_similarity f1 bleu rouge
    chrf word_error_rate tool_call_accuracy""".split()  # noqa: SIM905 the same


def test_all_that_was_promised_is_there() -> None:
    judged = {template.name for template in REGISTRY.all() if template.needs_model}
    assert judged >= set(JUDGED)
    assert {name for name in judged if name.startswith("customer_agent_")}
    assert {template.name for template in REGISTRY.all()} - judged == set(DETERMINISTIC)


@pytest.mark.parametrize("name", KNOWN_IDS)
def test_a_documented_template_keeps_its_id(name: str) -> None:
    by_name = REGISTRY.get(name)
    assert by_name is not None
    assert by_name.id == KNOWN_IDS[name]
    assert REGISTRY.get(by_name.id) is by_name
    assert REGISTRY.get(by_name.id.upper()) is by_name


def test_the_documented_templates_have_their_keys() -> None:
    completion, polite = REGISTRY.get("task_completion"), REGISTRY.get("is_polite")
    assert completion is not None
    assert polite is not None
    assert (completion.required_keys, polite.required_keys) == (("input", "output"), ("output",))
    assert completion.tags == polite.tags == ("TEXT", "FUTURE_EVALS", "AUDIO")


@pytest.mark.parametrize("template", REGISTRY.all(), ids=lambda template: template.name)
def test_a_template_is_whole(template: Template) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", template.name)
    assert 0 < template.passing_score <= 1
    assert template.version >= 1
    assert template.description
    assert template.tags
    assert set(template.required_settings) <= set(template.settings)
    schemas.check({"type": "object", "properties": template.settings})
    if template.needs_model:
        assert template.instructions
        assert bool(template.choices) != bool(template.criteria)
        assert sum(criterion.weight for criterion in template.criteria.values()) in {0, 100}
        assert not template.choices or {max(template.choices.values()), min(template.choices.values())} == {1, 0}


def test_templates_are_listed_by_name() -> None:
    names = [template.name for template in REGISTRY.all()]
    assert names == sorted(names)


def test_an_unknown_template_is_none() -> None:
    assert REGISTRY.get("is_telepathic") is None
    assert REGISTRY.get("") is None


ONE = """
- {id: 5419b2e4-f155-4f0f-846f-0a3f848a74be, name: a, version: 1, kind: deterministic, description: d, passing_score: 1}
"""


@pytest.mark.parametrize("repeats", ["id", "name"])
def test_a_name_or_id_that_comes_twice_is_refused(tmp_path: Path, repeats: str) -> None:
    other = ONE.replace("5419b2e4", "5419b2e5") if repeats == "name" else ONE.replace("name: a", "name: b")
    (tmp_path / "one.yaml").write_text(ONE)
    (tmp_path / "two.yaml").write_text(other)
    with pytest.raises(ValueError, match=f"the same {repeats}"):
        registry.load(tmp_path)


def test_a_field_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE.replace("version: 1", "version: 1, colour: blue"))
    with pytest.raises(TypeError, match="colour"):
        registry.load(tmp_path)
