"""The official OpenAI SDK, as an application uses it."""

import json

import openai
import pydantic
import pytest

HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
RESPONSES_TOOL = {"type": "function", "strict": False, **TOOL["function"]}


def text_of(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_chat(client):
    answer = client.chat.completions.create(model="demo:echo", messages=HELLO)
    assert answer.choices[0].message.content == "You said: Hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_chat_stream(client):
    stream = client.chat.completions.create(model="demo:echo", messages=HELLO, stream=True)
    assert text_of(stream) == "You said: Hello there"


def test_a_usage_chunk_comes_only_when_asked_for(client):
    # The gateway asks its provider for usage in order to count; applications that read `choices[0]` of
    # every chunk break on the extra chunk, so it must not reach those that did not ask.
    for options in ({}, {"stream_options": {"include_usage": False}}):
        chunks = list(client.chat.completions.create(model="demo:echo", messages=HELLO, stream=True, **options))
        assert all(chunk.choices for chunk in chunks), f"a chunk without choices, with {options}"
        assert all(chunk.usage is None for chunk in chunks), f"usage that was not asked for, with {options}"

    asked = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="demo:echo", messages=HELLO, stream=True, stream_options=asked))
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, "the usage that was asked for"
    whole = client.chat.completions.create(model="demo:echo", messages=HELLO)
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens, "streaming or not, the figures agree"


def test_chat_tool(client):
    answer = client.chat.completions.create(model="demo:echo", messages=WEATHER, tools=[TOOL])
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)

    conversation = [
        *WEATHER,
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"},
    ]
    answer = client.chat.completions.create(model="demo:echo", messages=conversation, tools=[TOOL])
    assert answer.choices[0].finish_reason == "stop"
    assert "18 degrees" in answer.choices[0].message.content


def test_chat_tool_stream(client):
    with client.chat.completions.stream(model="demo:echo", messages=WEATHER, tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments), "the fragments join to one JSON object"


def test_structured_output(client):
    class City(pydantic.BaseModel):
        name: str
        inhabitants: int

    answer = client.chat.completions.parse(model="demo:echo", messages=HELLO, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)


def test_completions(client):
    answer = client.completions.create(model="demo:echo", prompt="Hello there")
    assert answer.choices[0].text == "You said: Hello there"
    stream = client.completions.create(model="demo:echo", prompt="Hello there", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "You said: Hello there"


def test_embeddings(client):
    # The SDK asks for base64 unless told otherwise and decodes it itself.
    packed = client.embeddings.create(model="demo:echo", input=["one", "two"])
    plain = client.embeddings.create(model="demo:echo", input=["one", "two"], encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1]
    for left, right in zip(packed.data, plain.data, strict=True):
        assert left.embedding == pytest.approx(right.embedding), "both encodings carry the same vector"
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens > 0


def test_responses(client):
    answer = client.responses.create(model="demo:echo", input="Hello there")
    assert answer.output_text == "You said: Hello there"
    assert answer.status == "completed" and answer.usage.total_tokens > 0


def test_responses_stream(client):
    events = list(client.responses.create(model="demo:echo", input="Hello there", stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "You said: Hello there"
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers)), "no event is lost or repeated"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "You said: Hello there"


@pytest.mark.parametrize("stream", [False, True])
def test_responses_tool(client, stream):
    question = WEATHER[0]["content"]
    if stream:
        with client.responses.stream(model="demo:echo", input=question, tools=[RESPONSES_TOOL]) as events:
            answer = events.get_final_response()
    else:
        answer = client.responses.create(model="demo:echo", input=question, tools=[RESPONSES_TOOL])
    (call,) = [item for item in answer.output if item.type == "function_call"]
    assert call.name == "get_weather" and "city" in json.loads(call.arguments)


def test_responses_over_a_websocket(client):
    with client.responses.connect() as connection:

        def turn(**fields):
            connection.response.create(model="demo:echo", store=False, **fields)
            for event in connection:
                assert event.type != "error", event
                if event.type == "response.completed":
                    return event

        prepared = turn(input="Never answered", generate=False)
        assert prepared.response.output == []
        first = turn(input="Hello there", previous_response_id=prepared.response.id)
        assert first.response.output_text == "You said: Hello there"
        tokens = first.response.usage.input_tokens
        other = turn(input="Hello there", stream_id="other")
        assert other.stream_id == "other" and other.response.usage.input_tokens < tokens
        more = turn(input="More", previous_response_id=first.response.id)
        assert more.response.output_text == "You said: More" and more.response.usage.input_tokens > tokens
        connection.response.create(model="demo:echo", input="x", previous_response_id="resp_of_nobody")
        error = next(iter(connection))
        assert error.type == "error" and error.error.code == "previous_response_not_found"


def test_models(client, gateway):
    models = {model.id: model for model in client.models.list()}
    echo = next(id for id in models if id.endswith("echo"))
    assert models[echo].object == "model"
    assert client.models.retrieve(echo).id == echo
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model-anywhere")

    if gateway.narrow_key is None:
        pytest.skip("needs a key with an allow list")
    narrow = client.with_options(api_key=gateway.narrow_key)
    assert [model.id for model in narrow.models.list()] == [echo], "only what this key may call"


def test_a_listed_model_can_be_called_by_its_id(client):
    echo = next(model.id for model in client.models.list() if model.id.endswith("echo"))
    answer = client.chat.completions.create(model=echo, messages=HELLO)
    assert answer.choices[0].message.content == "You said: Hello there"


async def concurrent_chats(gateway, number):
    import asyncio

    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:

        async def chat(n):
            messages = [{"role": "user", "content": f"message {n}"}]
            stream = await client.chat.completions.create(model="demo:echo", messages=messages, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in stream])

        return await asyncio.gather(*(chat(n) for n in range(number)))


def test_answers_are_not_mixed_up_under_concurrency(gateway):
    import asyncio

    answers = asyncio.run(concurrent_chats(gateway, 50))
    assert answers == [f"You said: message {n}" for n in range(50)]
