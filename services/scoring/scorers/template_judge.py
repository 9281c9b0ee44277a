"""A template as a question to a judge: one choice of several, or one yes or no for each criterion."""

from collections.abc import Mapping
from typing import Any

from services.scoring import mapping
from services.scoring.cases import Case
from services.scoring.entities import Found, JudgeAnswer, JudgePrompt
from services.scoring.mapping import Located
from services.scoring.registry import Template

CONVERSATION = "conversation"
_REASON = 'First write down in "reasoning", in one to three sentences, what you found.'


def texts(template: Template, case: Case, mapped: Mapping[str, Located]) -> Mapping[str, Located]:
    """What the judge reads: what is mapped, and for a criterion of a rubric the whole conversation."""
    return {CONVERSATION: mapping.transcript(case), **mapped} if template.fallback == "rubric" else mapped


def prompt(template: Template, settings: Mapping[str, Any], judged: Mapping[str, Located]) -> JudgePrompt:
    """The one call that settles it."""
    asked = [template.instructions.strip()]
    if template.fallback == "rubric":
        # The workspace's own words, not the judged ones; another criterion is another prompt, and so has another hash.
        asked.append(f"The criterion: {str(settings['criteria']).strip()}")
    asked += [_REASON, _question(template)]
    texts = {key: located.text for key, located in judged.items()}
    return JudgePrompt(template.name, template.version, "\n".join(asked), texts, _schema(template))


def _question(template: Template) -> str:
    if template.choices:
        return f'Then give your verdict in "verdict", one of: {", ".join(template.choices)}.'
    lines = "\n".join(f"- {name}: {criterion.asks}." for name, criterion in template.criteria.items())
    return f"Then decide each of these, true or false, on its own:\n{lines}"


def _schema(template: Template) -> Mapping[str, object]:
    verdict: dict[str, object]
    if template.choices:
        verdict = {"verdict": {"type": "string", "enum": list(template.choices)}}
    else:
        verdict = {name: {"type": "boolean"} for name in template.criteria}
    properties = {"reasoning": {"type": "string"}, **verdict}
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(properties)}


def found(template: Template, answer: JudgeAnswer) -> Found:
    """The choice's score, or the weights of the criteria that hold; the reason is the judge's own, after the verdict."""
    said = str(answer.answer["reasoning"]).strip()
    if template.choices:
        choice = str(answer.answer["verdict"])
        return Found(template.choices[choice], f"{choice.replace('_', ' ')}; the judge: {said}", warnings=answer.warnings)
    share = sum(criterion.weight for name, criterion in template.criteria.items() if answer.answer[name] is True) / 100
    amiss = [criterion.asks for name, criterion in template.criteria.items() if answer.answer[name] is not True]
    told = f"not true that {'; nor that '.join(amiss)}" if amiss else "every criterion holds"
    return Found(share, f"{told}; the judge: {said}", warnings=answer.warnings)
