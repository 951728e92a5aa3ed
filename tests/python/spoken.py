"""One answer in each of the three APIs: a thought, a text and two calls, whole and as a stream."""

import json

THOUGHT = "let me see"
TEXT = "It depends."
CALLS = [("call_1", "get_weather", {"city": "Paris"}), ("call_2", "get_time", {"zone": "CET"})]


def event(data, name=None):
    return (f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def halves(text):
    return text[: len(text) // 2], text[len(text) // 2 :]


def chat(model):
    calls = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for id, name, arguments in CALLS
    ]
    message = {"role": "assistant", "content": TEXT, "reasoning_content": THOUGHT, "tool_calls": calls}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": None, "message": message}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


def chat_stream(model):
    def chunk(delta, finish=None, **more):
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        return event({**head, "choices": choices, **more})

    yield chunk({"role": "assistant", "content": ""})
    yield chunk({"reasoning_content": THOUGHT})
    for half in halves(TEXT):
        yield chunk({"content": half})
    for index, (id, name, _) in enumerate(CALLS):
        function = {"name": name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
    for half in (0, 1):
        for index, (_, _, arguments) in enumerate(CALLS):
            function = {"arguments": halves(json.dumps(arguments))[half]}
            yield chunk({"tool_calls": [{"index": index, "function": function}]})
    yield chunk({}, "tool_calls")
    yield chunk(None, usage=chat(model)["usage"])
    yield event("[DONE]")


def message(model):
    calls = [{"type": "tool_use", "id": id, "name": name, "input": arguments} for id, name, arguments in CALLS]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [
            {"type": "thinking", "thinking": THOUGHT, "signature": "EqoB"},
            {"type": "text", "text": TEXT},
            *calls,
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 20},
    }


def message_stream(model):
    def named(kind, **data):
        return event({"type": kind, **data}, kind)

    whole = message(model)
    start = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 100, "output_tokens": 1}}
    yield named("message_start", message=start)
    yield named("ping")
    for index, block in enumerate(whole["content"]):
        match block["type"]:
            case "thinking":
                opened = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [
                    {"type": "thinking_delta", "thinking": THOUGHT},
                    {"type": "signature_delta", "signature": "EqoB"},
                ]
            case "text":
                opened = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": half} for half in halves(TEXT)]
            case _:
                opened = {**block, "input": {}}
                pieces = halves(json.dumps(block["input"]))
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        yield named("content_block_start", index=index, content_block=opened)
        for delta in deltas:
            yield named("content_block_delta", index=index, delta=delta)
        yield named("content_block_stop", index=index)
    yield named("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage=whole["usage"])
    yield named("message_stop")


def response(model, status="completed"):
    done = status == "completed"
    items = [
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": THOUGHT}],
            "encrypted_content": "gAAA",
        },
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        },
    ]
    for id, name, arguments in CALLS:
        items.append(
            {
                "id": f"fc_{id}",
                "type": "function_call",
                "call_id": id,
                "name": name,
                "arguments": json.dumps(arguments),
                "status": "completed",
            }
        )
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": model,
        "error": None,
        "incomplete_details": None,
        "output": items if done else [],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 120,
        }
        if done
        else None,
    }


def response_stream(model):
    number = iter(range(1000))

    def named(kind, **data):
        return event({"type": kind, "sequence_number": next(number), **data}, kind)

    yield named("response.created", response=response(model, "in_progress"))
    for at, item in enumerate(response(model)["output"]):
        where = {"item_id": item["id"], "output_index": at}
        match item["type"]:
            case "reasoning":
                yield named("response.output_item.added", output_index=at, item={**item, "summary": []})
                yield named("response.reasoning_summary_text.delta", **where, summary_index=0, delta=THOUGHT)
            case "message":
                yield named("response.output_item.added", output_index=at, item={**item, "content": []})
                part = {"type": "output_text", "text": "", "annotations": []}
                yield named("response.content_part.added", **where, content_index=0, part=part)
                for half in halves(TEXT):
                    yield named("response.output_text.delta", **where, content_index=0, delta=half)
                yield named("response.output_text.done", **where, content_index=0, text=TEXT)
                yield named("response.content_part.done", **where, content_index=0, part=item["content"][0])
            case _:
                yield named("response.output_item.added", output_index=at, item={**item, "arguments": ""})
                for half in halves(item["arguments"]):
                    yield named("response.function_call_arguments.delta", **where, delta=half)
                yield named("response.function_call_arguments.done", **where, arguments=item["arguments"])
        yield named("response.output_item.done", output_index=at, item=item)
    yield named("response.completed", response=response(model))


def answer(path, model, stream):
    """The answer on the API of this path: a document, or the events of a stream."""
    match path.split("?")[0].rsplit("/", 1)[-1]:
        case "messages":
            return message_stream(model) if stream else message(model)
        case "responses":
            return response_stream(model) if stream else response(model)
        case _:
            return chat_stream(model) if stream else chat(model)
