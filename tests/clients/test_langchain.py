"""LangChain for Python, against a provider of its client's dialect and of the others."""

import json

import pydantic
import pytest

from scripted import CACHED, OUTPUT, PROMPT, Say

for package in ("langchain_core", "langchain_openai", "langchain_anthropic"):
    pytest.importorskip(package, reason="LangChain is not installed (`.ci/tools test` installs it)")
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

CLIENTS = ["chat", "responses", "messages"]
PROVIDERS = ["chat", "responses", "messages"]
HELLO = [SystemMessage("Be brief."), HumanMessage("Hello there")]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@tool
def weather(city: str) -> str:
    """The weather of a city"""
    return f"18 degrees in {city}"


class City(pydantic.BaseModel):
    """A city"""

    name: str
    inhabitants: int


@pytest.fixture(params=[(client, to) for client in CLIENTS for to in PROVIDERS], ids=lambda pair: "-to-".join(pair))
def llm(request, gateway, provider):
    client, to = request.param
    common = {"api_key": gateway.key, "max_retries": 0, "timeout": 20, "max_tokens": 500}
    if client == "messages":
        return ChatAnthropic(model=f"{to}:claude-sonnet-5", base_url=gateway.url, stream_usage=True, **common)
    return ChatOpenAI(
        model=f"{to}:scripted",
        base_url=f"{gateway.url}/v1",
        use_responses_api=client == "responses",
        stream_usage=True,
        **common,
    )


def joined(stream):
    """The message that a stream's chunks add up to, and how many of them had text or arguments."""
    chunks = list(stream)
    message = chunks[0]
    for chunk in chunks[1:]:
        message = message + chunk
    return message, sum(bool(chunk.text or chunk.tool_call_chunks) for chunk in chunks)


def usage_of(message):
    usage = message.usage_metadata
    return usage["input_tokens"], usage["input_token_details"]["cache_read"], usage["output_tokens"]


def test_text(llm, provider):
    provider.script = lambda asked: Say("Bonjour, tout le monde: ça va 👋?")
    whole = llm.invoke(HELLO)
    streamed, fragments = joined(llm.stream(HELLO))
    for message in (whole, streamed):
        assert message.text == "Bonjour, tout le monde: ça va 👋?"
        assert usage_of(message) == (PROMPT, CACHED, OUTPUT), "the same sense in every dialect"
    assert fragments == 5, "fragments arrive as the provider sent them"
    for asked in provider.asked:
        assert asked.system == ["Be brief."] and asked.texts == ["Hello there"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools_in_two_steps(llm, provider, stream):
    def script(asked):
        if asked.results:
            return Say("; ".join(asked.results.values()))
        return Say("Let me look.", [asked.call("weather", {"city": city}) for city in ("Paris", "Rome")])

    provider.script = script
    bound = llm.bind_tools([weather])
    ask = (lambda messages: joined(bound.stream(messages))[0]) if stream else bound.invoke
    conversation = [SystemMessage("Be brief."), HumanMessage("What is the weather in Paris and in Rome?")]
    first = ask(conversation)
    assert [call["args"] for call in first.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]
    results = [weather.invoke(call) for call in first.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    second = ask([*conversation, first, *results])
    assert second.text == "18 degrees in Paris; 18 degrees in Rome"
    assert not second.tool_calls
    for asked in provider.asked:
        schema = asked.tools["weather"].schema
        assert schema["required"] == ["city"] and schema["properties"]["city"]["type"] == "string"
    assert list(provider.asked[1].results) == provider.asked[1].calls, "each call has its result, in order"
    assert "Let me look." in provider.asked[1].texts, "what was said beside the calls is remembered"


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(llm, provider, method):
    if getattr(llm, "model_name", "").startswith("messages:"):
        # Only models that are known to be held to schemas are sent them on Anthropic's API.
        llm = llm.model_copy(update={"model_name": "messages:claude-sonnet-5"})

    def script(asked):
        paris = {"name": "Paris", "inhabitants": 2102650}
        return Say(calls=[asked.call("City", paris)]) if asked.tools else Say(json.dumps(paris))

    provider.script = script
    assert llm.with_structured_output(City, method=method).invoke(HELLO) == City(name="Paris", inhabitants=2102650)
    (asked,) = provider.asked
    schema = asked.output_schema if method == "json_schema" else asked.tools["City"].schema
    assert set(schema["properties"]) == {"name", "inhabitants"}, "the schema reaches the provider"


def test_image(llm, provider):
    provider.script = lambda asked: Say(f"{len(asked.images)} images")
    picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    by_url = {"type": "image", "url": "https://example.com/a.png"}
    asked = HumanMessage([{"type": "text", "text": "What are these?"}, picture, by_url])
    assert llm.invoke([asked]).text == "2 images"
    assert provider.asked[0].images == [f"data:image/png;base64,{PIXEL}", "https://example.com/a.png"]
