"""Vercel's AI SDK, against a provider of its client's dialect and of the others."""

import json
import pathlib
import subprocess

import pytest

from scripted import CACHED, OUTPUT, PROMPT, Call, Say

HERE = pathlib.Path(__file__).parent
# `compatible` is @ai-sdk/openai-compatible, the other three are the dialects of @ai-sdk/openai and /anthropic.
CLIENTS = ["responses", "chat", "compatible", "messages"]
PROVIDERS = ["responses", "chat", "messages"]
WHOLE_OR_STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
DELTA = 7  # how the provider cuts what it streams


@pytest.fixture(scope="module")
def node():
    """One process for all tests: the SDK takes longer to load than to run."""
    if not (HERE / "node_modules" / "ai").is_dir():
        pytest.skip("the npm packages are not installed (`.ci/tools test` installs them)")
    loads = subprocess.run(["node", HERE / "vercel.mjs"], input="", capture_output=True, text=True, timeout=60)
    if loads.returncode != 0:
        pytest.skip(f"the AI SDK does not run with this node: {loads.stderr.strip()[:300]}")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(["node", HERE / "vercel.mjs"], **pipes) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def ask(node, gateway):
    def run(client, to, scenario, stream=False, store=False, model=None):
        model = f"{to}:{model or ('claude-sonnet-5' if client == 'messages' else 'scripted')}"
        where = {"baseURL": f"{gateway.url}/v1", "key": gateway.key, "model": model}
        asked = {"scenario": scenario, "stream": stream, "client": client, "store": store, **where}
        node.stdin.write(json.dumps(asked) + "\n")
        node.stdin.flush()
        return json.loads(node.stdout.readline())

    return run


@pytest.fixture(params=[(client, to) for client in CLIENTS for to in PROVIDERS], ids=lambda pair: "-to-".join(pair))
def sdk(request, ask, provider):
    def run(scenario, stream=False):
        # Only models that are known to be held to schemas are sent them on Anthropic's API.
        knows = scenario == "object" and request.param[1] == "messages"
        outcome = ask(*request.param, scenario, stream, model="claude-sonnet-5" if knows else None)
        assert "error" not in outcome, outcome
        return outcome

    return run


@WHOLE_OR_STREAM
def test_text(sdk, provider, stream):
    provider.script = lambda asked: Say("Bonjour, tout le monde: ça va 👋?")
    said = sdk("generate", stream)
    assert said["text"] == "Bonjour, tout le monde: ça va 👋?"
    assert said["finishReason"] == "stop"
    assert said["usage"] == {"input": PROMPT, "output": OUTPUT, "cached": CACHED}, "the same sense in every dialect"
    (asked,) = provider.asked
    assert asked.system == ["Be brief."] and asked.texts == ["Hello there"]
    assert asked.stream is stream
    if stream:
        assert len(said["deltas"]) == len(said["text"]) // DELTA + 1, "fragments arrive as the provider sent them"


@WHOLE_OR_STREAM
def test_tools_in_two_steps(sdk, provider, stream):
    def script(asked):
        if not asked.results:
            return Say("Let me look.", [Call("weather", {"city": "Paris"}), Call("weather", {"city": "Rome"})])
        return Say("; ".join(asked.results.values()))

    provider.script = script
    said = sdk("tools", stream)
    first, second = said["steps"]
    assert first["text"] == "Let me look."
    assert first["calls"] == [{"name": "weather", "input": {"city": city}} for city in ("Paris", "Rome")]
    assert second["text"] == said["text"] == '18 degrees in Paris; 18 degrees in Rome'
    assert said["finishReason"] == "stop"
    for asked in provider.asked:
        schema = asked.tools["weather"].schema
        assert schema["properties"] == {"city": {"type": "string"}} and schema["required"] == ["city"]
    assert list(provider.asked[1].results) == provider.asked[1].calls, "each call has its result, in order"
    assert "Let me look." in provider.asked[1].texts, "what was said beside the calls is remembered"


@WHOLE_OR_STREAM
def test_structured_output(sdk, provider, stream):
    provider.script = lambda asked: Say('{"name": "Paris", "inhabitants": 2102650}')
    said = sdk("object", stream)
    assert said["output"] == {"name": "Paris", "inhabitants": 2102650}
    (asked,) = provider.asked
    assert set(asked.output_schema["properties"]) == {"name", "inhabitants"}, "the schema reaches the provider"


def test_image(sdk, provider):
    provider.script = lambda asked: Say(f"{len(asked.images)} image")
    assert sdk("image")["text"] == "1 image"
    (asked,) = provider.asked
    assert asked.images[0].startswith("data:image/png;base64,iVBORw0KGgo")


@pytest.mark.parametrize("to", PROVIDERS)
def test_structured_output_by_a_forced_tool(ask, provider, to):
    # What @ai-sdk/anthropic does for models whose name it does not know: a tool `json`, and tool_choice `any`.
    provider.script = lambda asked: Say(calls=[Call("json", {"name": "Paris", "inhabitants": 2102650})])
    said = ask("messages", to, "object", model="scripted")
    assert said.get("output") == {"name": "Paris", "inhabitants": 2102650}, said
    (asked,) = provider.asked
    choice = asked.body["tool_choice"]
    assert (choice if isinstance(choice, str) else choice["type"]) == ("any" if to == "messages" else "required")
    if to != "messages":
        assert asked.body["parallel_tool_calls"] is False, "disable_parallel_tool_use"


# @ai-sdk/openai leaves `store` at its default, true, and then sends text and reasoning of earlier steps back as
# {"type": "item_reference", "id": ...}; tool calls it always sends in full. (An application that sets
# providerOptions.openai.store to false gets all of it sent in full: the tests above.)


def test_item_references_reach_a_provider_that_has_the_items(ask, provider):
    look = Say("Let me look.", [Call("weather", {"city": "Rome"})])
    provider.script = lambda asked: Say("Done.") if asked.results else look
    said = ask("responses", "responses", "tools", store=None)
    assert said.get("text") == "Done.", said
    assert {"type": "item_reference", "id": "msg_scripted_1"} in provider.asked[1].body["input"]


@pytest.mark.parametrize("to", ["chat", "messages"])
def test_tool_calls_alone_cross_with_the_default_of_store(ask, provider, to):
    provider.script = lambda asked: Say("Done.") if asked.results else Say(calls=[Call("weather", {"city": "Rome"})])
    said = ask("responses", to, "tools", store=None)
    assert said.get("text") == "Done.", said


@pytest.mark.parametrize("to", ["chat", "messages"])
def test_item_references_do_not_cross(ask, provider, to):
    provider.script = lambda asked: Say("Let me look.", [Call("weather", {"city": "Rome"})])
    said = ask("responses", to, "tools", store=None)
    assert said.get("status") == 422 and "input[2]" in said["error"], said
    assert "set `store` to false" in said["error"], said
    assert len(provider.asked) == 1, "refused before an attempt"


@pytest.mark.parametrize("to", ["chat", "messages"])
def test_references_to_reasoning_are_left_out(ask, provider, to):
    look = Say(calls=[Call("weather", {"city": "Rome"})], thinking="Let me see.")
    provider.script = lambda asked: Say("Done.") if asked.results else look
    said = ask("responses", to, "tools", store=None)
    assert said.get("text") == "Done.", said
