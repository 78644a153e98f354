"""Where the gateway under test is, and what is asked of it: run by tests/python/run.ts, which starts one."""

import os
from typing import Iterator

import anthropic
import openai
from google import genai
from google.genai import types

URL = os.environ["SLUICE_URL"]
KEY = os.environ["SLUICE_KEY"]

# A provider for each dialect, named after it; its models say how they behave (docs/mock.md).
PROVIDERS = (
    "openai-chat",
    "openai-responses",
    "anthropic-messages",
    "gemini",
    "bedrock-converse",
    "cohere-v2",
    "ollama",
)

SAID = "Hello, wörld 🦊"
THOUGHT = "The user wrote something. I will answer with their own words."
USAGE = "usage:input=1000,cached=400,output=70"

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CALLED = {"city": SAID, "days": 1}


def models(behaviour: str) -> Iterator[str]:
    """The model that behaves so, at every provider."""
    for provider in PROVIDERS:
        yield f"{provider}/{behaviour}"


def openai_client() -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)


def anthropic_client() -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)


def google_client() -> genai.Client:
    options = types.HttpOptions(base_url=URL, retry_options=types.HttpRetryOptions(attempts=1))
    return genai.Client(api_key=KEY, http_options=options)
