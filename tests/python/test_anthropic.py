"""The official Anthropic SDK, as an application uses it."""

import anthropic
import pytest

HELLO = {"max_tokens": 100, "messages": [{"role": "user", "content": "Hello there"}]}
TOOL = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
WEATHER = {
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
    "tools": [TOOL],
}


def test_messages(claude):
    answer = claude.messages.create(model="demo:echo", **HELLO)
    assert answer.content[0].text == "You said: Hello there"
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


def test_messages_stream(claude):
    with claude.messages.stream(model="demo:echo", **HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == "You said: Hello there"
    whole = claude.messages.create(model="demo:echo", **HELLO)
    assert final.usage.output_tokens == whole.usage.output_tokens, "streaming or not, the figures agree"


def test_thinking_passes_untouched(claude):
    kinds = lambda message: [block.type for block in message.content]
    whole = claude.messages.create(model="demo:thinking", **HELLO)
    with claude.messages.stream(model="demo:thinking", **HELLO) as stream:
        streamed = stream.get_final_message()
    assert kinds(whole) == kinds(streamed) == ["thinking", "text"]
    assert whole.content[0].signature and whole.content[0].signature == streamed.content[0].signature


def test_tool(claude):
    answer = claude.messages.create(model="demo:echo", **WEATHER)
    assert answer.stop_reason == "tool_use"
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    assert call.name == "get_weather" and "city" in call.input

    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}
    messages = [
        *WEATHER["messages"],
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [result]},
    ]
    answer = claude.messages.create(model="demo:echo", **{**WEATHER, "messages": messages})
    assert "18 degrees" in answer.content[-1].text


def test_tool_stream(claude):
    with claude.messages.stream(model="demo:echo", **WEATHER) as stream:
        final = stream.get_final_message()
    (call,) = [block for block in final.content if block.type == "tool_use"]
    assert call.name == "get_weather" and "city" in call.input, "the fragments join to one JSON object"


def test_count_tokens(claude):
    counted = claude.messages.count_tokens(model="demo:echo", messages=HELLO["messages"])
    assert counted.input_tokens > 0


def test_models(claude):
    # The same path as OpenAI's; the `anthropic-version` header asks for this shape.
    models = {model.id: model for model in claude.models.list(limit=1000)}
    echo = next(id for id in models if id.endswith("echo"))
    assert models[echo].type == "model" and models[echo].display_name
    assert claude.models.retrieve(echo).id == echo


def test_the_key_may_come_in_either_header(gateway):
    for credential in ({"api_key": gateway.key}, {"auth_token": gateway.key}):
        with anthropic.Anthropic(base_url=gateway.url, max_retries=0, **credential) as claude:
            assert claude.messages.create(model="demo:echo", **HELLO).content[0].text


def test_wrong_key(gateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key="tg-nobody-g1-" + "x" * 43, max_retries=0) as claude:
        with pytest.raises(anthropic.AuthenticationError) as error:
            claude.messages.create(model="demo:echo", **HELLO)
    assert error.value.body["type"] == "error", "an error in Anthropic's shape"
    assert error.value.body["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("demo:401", anthropic.AuthenticationError),
        ("demo:400-context", anthropic.BadRequestError),
        ("demo:no-such-model", anthropic.NotFoundError),
        ("demo:429", anthropic.RateLimitError),
        ("demo:500", anthropic.InternalServerError),
        ("demo:503", anthropic.InternalServerError),
        ("demo:529", anthropic.InternalServerError),
        ("no-such-model", anthropic.UnprocessableEntityError),
        ("stub:status-403", anthropic.PermissionDeniedError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_error_classes(claude, gateway, model, expected, stream):
    if model.startswith("stub:") and gateway.stub is None:
        pytest.skip("needs TOLLGATE_BIN")
    with pytest.raises(expected) as error:
        claude.messages.create(model=model, stream=stream, **HELLO)
    assert type(error.value).__mro__[0] is expected or issubclass(type(error.value), expected)
    assert error.value.body["type"] == "error", "an error in Anthropic's shape"


@pytest.mark.parametrize("model", ["demo:cut", "demo:error-event", "demo:overloaded"])
def test_a_stream_that_breaks_is_never_taken_for_whole(claude, model):
    # httpx raises its own errors through this SDK where a body ends early.
    with pytest.raises(Exception) as error:
        with claude.messages.stream(model=model, **HELLO) as stream:
            stream.get_final_message()
    assert not isinstance(error.value, AssertionError), error.value


@pytest.mark.parametrize("first", ["429", "500", "401", "529", "cut-early", "error-event", "overloaded"])
@pytest.mark.parametrize("stream", [False, True])
def test_failover(claude, first, stream):
    more = {"models": ["demo:echo"]}
    if stream:
        with claude.messages.stream(model=f"demo:{first}", extra_body=more, **HELLO) as events:
            answer = events.get_final_message()
    else:
        answer = claude.messages.create(model=f"demo:{first}", extra_body=more, **HELLO)
    assert answer.content[0].text == "You said: Hello there"
