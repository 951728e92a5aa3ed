"""The official SDKs against providers of the other API: tools, thinking and streams, and errors."""

import json

import anthropic
import openai
import pytest

import spoken

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}, "zone": {"type": "string"}}}
NAMES = [name for _, name, _ in spoken.CALLS]
CALLED = [(id, name, arguments) for id, name, arguments in spoken.CALLS]
ASK = [{"role": "user", "content": "Weather in Paris, and what time is it?"}]

CHAT = {
    "messages": ASK,
    "tools": [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in NAMES],
}
RESPONSES = {
    "input": ASK,
    "store": False,
    "tools": [{"type": "function", "name": name, "parameters": PARAMETERS, "strict": False} for name in NAMES],
}
MESSAGES = {
    "max_tokens": 1000,
    "messages": ASK,
    "tools": [{"name": name, "input_schema": PARAMETERS} for name in NAMES],
}

FOR_CHAT = pytest.mark.parametrize("model", ["only-messages:tools", "only-responses:tools"])
FOR_RESPONSES = pytest.mark.parametrize("model", ["only-messages:tools", "only-chat:tools"])
FOR_MESSAGES = pytest.mark.parametrize("model", ["only-chat:tools", "only-responses:tools"])


def chat_calls(message):
    return [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]


@FOR_CHAT
def test_chat(client, stub, model):
    answer = client.chat.completions.create(model=model, **CHAT)
    message = answer.choices[0].message
    assert message.content == spoken.TEXT
    assert message.reasoning_content == spoken.THOUGHT
    assert chat_calls(message) == CALLED
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (100, 20)
    path, _, _ = stub.requests[-1]
    assert path.endswith("/messages") or path.endswith("/responses"), "translated"


@FOR_CHAT
def test_chat_stream(client, stub, model):
    with client.chat.completions.stream(model=model, stream_options={"include_usage": True}, **CHAT) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert deltas == final.choices[0].message.content == spoken.TEXT
    assert chat_calls(final.choices[0].message) == CALLED
    assert final.choices[0].finish_reason == "tool_calls"
    assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (100, 20)


@FOR_CHAT
def test_chat_tool_results(client, stub, model):
    """The second turn: what the SDK was given goes back as it is, with the results."""
    answer = client.chat.completions.create(model=model, **CHAT)
    messages = [*ASK, answer.choices[0].message.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": id, "content": f"result of {id}"} for id, _, _ in spoken.CALLS]
    again = client.chat.completions.create(model=model, **{**CHAT, "messages": messages})
    assert again.choices[0].message.content == spoken.TEXT
    _, _, body = stub.requests[-1]
    for id, name, _ in spoken.CALLS:
        assert f"result of {id}".encode() in body and name.encode() in body


def response_calls(response):
    calls = [item for item in response.output if item.type == "function_call"]
    return [(call.call_id, call.name, json.loads(call.arguments)) for call in calls]


@FOR_RESPONSES
def test_responses(client, stub, model):
    answer = client.responses.create(model=model, **RESPONSES)
    assert answer.status == "completed"
    assert answer.output_text == spoken.TEXT
    assert response_calls(answer) == CALLED
    (thought,) = [item for item in answer.output if item.type == "reasoning"]
    assert thought.summary[0].text == spoken.THOUGHT
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (100, 20)


@FOR_RESPONSES
def test_responses_stream(client, stub, model):
    with client.responses.stream(model=model, **RESPONSES) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert deltas == final.output_text == spoken.TEXT
    assert response_calls(final) == CALLED


@FOR_RESPONSES
def test_responses_tool_results(client, stub, model):
    answer = client.responses.create(model=model, **RESPONSES)
    items = [*ASK, *(item.model_dump(exclude_none=True) for item in answer.output)]
    items += [
        {"type": "function_call_output", "call_id": id, "output": f"result of {id}"} for id, _, _ in spoken.CALLS
    ]
    again = client.responses.create(model=model, **{**RESPONSES, "input": items})
    assert again.output_text == spoken.TEXT
    _, _, body = stub.requests[-1]
    for id, name, _ in spoken.CALLS:
        assert f"result of {id}".encode() in body and name.encode() in body


def message_calls(message):
    return [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]


@FOR_MESSAGES
def test_messages(claude, stub, model):
    answer = claude.messages.create(model=model, **MESSAGES)
    assert [block.type for block in answer.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert answer.content[0].thinking == spoken.THOUGHT
    assert answer.content[1].text == spoken.TEXT
    assert message_calls(answer) == CALLED
    assert answer.stop_reason == "tool_use"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (100, 20)


@FOR_MESSAGES
def test_messages_stream(claude, stub, model):
    with claude.messages.stream(model=model, **MESSAGES) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == spoken.TEXT
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message_calls(final) == CALLED
    assert final.stop_reason == "tool_use"
    assert final.usage.output_tokens == 20


@FOR_MESSAGES
def test_messages_tool_results(claude, stub, model):
    answer = claude.messages.create(model=model, **MESSAGES)
    results = [{"type": "tool_result", "tool_use_id": id, "content": f"result of {id}"} for id, _, _ in spoken.CALLS]
    turns = [*ASK, {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    again = claude.messages.create(model=model, **{**MESSAGES, "messages": turns})
    assert again.content[1].text == spoken.TEXT
    _, _, body = stub.requests[-1]
    for id, name, _ in spoken.CALLS:
        assert f"result of {id}".encode() in body and name.encode() in body


def test_thoughts_that_changed_hands_are_not_shown_to_a_provider_that_did_not_think_them(claude, stub):
    """A turn answered by another provider's model, and the next one by Anthropic's own API."""
    answer = claude.messages.create(model="only-responses:tools", **MESSAGES)
    results = [{"type": "tool_result", "tool_use_id": id, "content": "x"} for id, _, _ in spoken.CALLS]
    turns = [*ASK, {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    claude.messages.create(model="only-messages:tools", **{**MESSAGES, "messages": turns})
    _, _, body = stub.requests[-1]
    assert b'"thinking"' not in body, "its signature would be refused"
    assert spoken.TEXT.encode() in body
    # Back at the provider that thought it, it is there again.
    claude.messages.create(model="only-responses:tools", **{**MESSAGES, "messages": turns})
    _, _, body = stub.requests[-1]
    assert b"gAAA" in body


def test_count_tokens(claude, stub):
    counted = claude.messages.count_tokens(model="only-chat:tools", messages=ASK)
    assert counted.input_tokens > 0
    assert not stub.requests, "the gateway's own count"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, "BadRequestError"), (401, "AuthenticationError"), (403, "PermissionDeniedError"), (404, "NotFoundError"),
     (429, "RateLimitError"), (500, "InternalServerError"), (529, "InternalServerError")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_error_classes(client, claude, stub, status, expected, stream):
    with pytest.raises(getattr(openai, expected)) as error:
        client.chat.completions.create(model=f"only-messages:status-{status}", messages=ASK, stream=stream)
    assert "the stub was told" in error.value.message
    with pytest.raises(getattr(openai, expected)) as error:
        client.responses.create(model=f"only-messages:status-{status}", input="hi", stream=stream)
    assert "the stub was told" in error.value.message
    with pytest.raises(getattr(anthropic, expected)) as error:
        claude.messages.create(
            model=f"only-chat:status-{status}", max_tokens=10, messages=ASK, stream=stream
        )
    assert error.value.body["type"] == "error", "in Anthropic's shape"
    assert "the stub was told" in error.value.body["error"]["message"]


def test_refused_fields(client, stub):
    with pytest.raises(openai.UnprocessableEntityError) as error:
        client.chat.completions.create(model="only-messages:tools", messages=ASK, n=2)
    assert error.value.code == "ERR_TOLLGATE_3808" and error.value.param == "n"
    assert not stub.requests, "before any attempt"


@pytest.mark.parametrize("model", ["only-messages:tools", "only-chat:tools"])
def test_what_only_openai_keeps_or_reads(client, stub, model):
    """Reasoning that is referred to is dropped; the rest is refused in words that say what to do."""
    refer = lambda id: [*ASK, {"type": "item_reference", "id": id}]  # noqa: E731
    raw = client.responses.with_raw_response.create(model=model, input=refer("rs_1"))
    assert raw.headers["x-tollgate-dropped"] == "input.item_reference"
    asked = len(stub.requests)
    for input, words in [
        (refer("msg_1"), "set `store` to false"),
        ([*ASK, {"type": "compaction_trigger"}], "`model_providers`"),
        ([*ASK, {"type": "compaction", "encrypted_content": "gAAA"}], "begin a new conversation"),
    ]:
        with pytest.raises(openai.UnprocessableEntityError) as error:
            client.responses.create(model=model, input=input)
        assert error.value.param == "input[1].type" and words in error.value.message
    assert len(stub.requests) == asked, "refused before any attempt"


def test_a_summary_of_calls_without_tools(client, claude, stub):
    """Anthropic refuses calls in a history without `tools`."""
    call = {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"}
    input = [*ASK, call, {"type": "function_call_output", "call_id": "c1", "output": "b"}]
    client.responses.create(model="only-messages:tools", input=[*input, {"role": "user", "content": "Sum it up."}])
    body = json.loads(stub.requests[-1][2])
    assert [tool["name"] for tool in body["tools"]] == ["read"] and body["tool_choice"] == {"type": "none"}
    use = [{"type": "tool_use", "id": "c1", "name": "read", "input": {}}]
    result = [{"type": "tool_result", "tool_use_id": "c1", "content": "b"}, {"type": "text", "text": "Sum it up."}]
    messages = [*ASK, {"role": "assistant", "content": use}, {"role": "user", "content": result}]
    claude.messages.create(model="only-chat:tools", max_tokens=100, messages=messages)
    body = json.loads(stub.requests[-1][2])
    assert "tools" not in body and [message["role"] for message in body["messages"][1:]] == ["assistant", "tool", "user"]


def test_dropped_fields(client, stub):
    raw = client.chat.completions.with_raw_response.create(model="only-messages:tools", seed=7, **CHAT)
    assert raw.headers["x-tollgate-dropped"] == "seed"
    assert raw.headers["x-tollgate-provider"] == "only-messages"


def test_fallback(client, stub):
    """As it is to the first candidate, translated to the second."""
    answer = client.responses.create(
        model="only-responses:status-503", extra_body={"models": ["only-messages:tools"]}, **RESPONSES
    )
    assert response_calls(answer) == CALLED
    assert [path.rsplit("/", 1)[-1] for path, _, _ in stub.requests] == ["responses", "messages"]
