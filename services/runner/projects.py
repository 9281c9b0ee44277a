"""Runs of a project's datasets, as their family names things."""

from dataclasses import dataclass

FLAVORS = (
    "openai_chat",
    "azure_openai_chat",
    "anthropic_chat",
    "gemini_chat",
    "gemini_api_chat",
    "mistral_chat",
    "baseten_mistral_chat",
    "perplexity_chat",
    "openai_responses",
    "llama_3_chat",
    "amazon_bedrock_converse",
)


@dataclass(frozen=True)
class NewTestRun:
    """What a client asks to be run; empty for absent."""

    project_id: str
    dataset_name: str
    include_outputs: bool
    name: str
    description: str
    flavor_name: str
    evaluator_ids: tuple[str, ...]
