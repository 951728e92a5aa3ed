"""openai/chat-completions, as its server speaks it."""

import json

from .faults import Faults, items, short
from .cache import Block
from .script import REASONING, Asked, Tool, pieces

CHAT_FIELDS = """audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    metadata modalities n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
    prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream
    stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options"""
CHAT_PARTS = {
    "system": "text",
    "developer": "text",
    "user": "text image_url input_audio file",
    "assistant": "text refusal",
    "tool": "text",
}


def faults(body, headers):
    f = Faults()
    f.fields("body", body, "model messages", CHAT_FIELDS)
    f.need(not ("max_tokens" in body and "max_completion_tokens" in body), "body", "two limits of the answer")
    f.number("body", body, "temperature", 0, 2)
    f.need(body.get("stream") or not body.get("stream_options"), "body", "stream_options without stream")
    for field in ("tool_choice", "parallel_tool_calls"):
        f.need(body.get("tools") or field not in body, "body", f"{field} without tools")
    if "reasoning_effort" in body:
        f.one_of("reasoning_effort", body["reasoning_effort"], "none minimal low medium high xhigh max")
    for n, tool in items(f, "tools", body.get("tools", [])):
        chat_tool(f, f"tools[{n}]", tool)
    f.need(body["messages"], "messages", "is empty")
    waiting = {}
    for n, message in items(f, "messages", body["messages"]):
        where = f"messages[{n}]"
        role = message.get("role")
        if not f.one_of(f"{where}.role", role, "system developer user assistant tool"):
            continue
        if role == "tool":
            f.fields(where, message, "role content tool_call_id", "name")
            f.need(waiting.pop(message.get("tool_call_id"), False), where, "answers no call of the message before")
        else:
            f.need(not waiting, where, f"comes before the results of {sorted(waiting)}")
            waiting = {}
            if role == "assistant":
                f.fields(where, message, "role", "name tool_calls refusal content audio annotations function_call")
            else:
                f.fields(where, message, "role content", "name")
        if role == "assistant":
            calls = message.get("tool_calls")
            f.need(calls is None or calls, where, "tool_calls is empty")
            f.need(calls or message.get("content"), where, "neither content nor calls")
            for m, call in enumerate(calls or []):
                waiting[chat_call(f, f"{where}.tool_calls[{m}]", call)] = True
        content = message.get("content")
        if not isinstance(content, (str, type(None))):
            f.need(content, where, "content is an empty list")
            for m, part in items(f, f"{where}.content", content):
                chat_part(f, f"{where}.content[{m}]", part, CHAT_PARTS[role])
    f.need(not waiting, "messages", f"end before the results of {sorted(waiting)}")
    response_format(f, "response_format", body.get("response_format"), nested=True)
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        named = choice.get(choice.get("type"), {})
        f.need(choice.get("type") == "allowed_tools" or "name" in named, "tool_choice", short(choice))
    else:
        f.one_of("tool_choice", choice, "none auto required")
    return f


def chat_tool(f, where, tool):
    kind = tool.get("type")
    if f.one_of(f"{where}.type", kind, "function custom") and f.fields(where, tool, f"type {kind}"):
        inner = tool[kind]
        f.fields(where, inner, "name", "description format" if kind == "custom" else "description parameters strict")
        f.name(where, inner.get("name"))
        if kind == "function" and "parameters" in inner:
            f.object_schema(f"{where} {inner.get('name')}", inner["parameters"], inner.get("strict"))


def chat_call(f, where, call):
    if f.fields(where, call, "id type", "function custom") and call["type"] == "function":
        if f.fields(where, call.get("function"), "name arguments"):
            f.name(where, call["function"]["name"])
            f.arguments(where, call["function"]["arguments"])
    return call.get("id")


def chat_part(f, where, part, allowed):
    kind = part.get("type")
    if not f.one_of(f"{where}.type", kind, allowed):
        return
    f.fields(where, part, f"type {kind}", "prompt_cache_breakpoint")
    if kind in ("text", "refusal"):
        f.text(where, part.get(kind))
    elif kind == "image_url":
        f.fields(where, part["image_url"], "url", "detail")
        f.image(where, part["image_url"].get("url"))
    elif kind == "file":
        f.fields(where, part["file"], "", "file_data filename file_id")


def response_format(f, where, form, nested):
    if form is None:
        return
    if f.one_of(f"{where}.type", form.get("type"), "text json_object json_schema") and form["type"] == "json_schema":
        if nested:
            f.fields(where, form, "type json_schema")
            form = {"type": "json_schema", **form.get("json_schema", {})}
        f.fields(where, form, "type name schema", "strict description")
        f.name(where, form.get("name"))
        f.object_schema(where, form.get("schema"), form.get("strict"))


def view(body, headers):
    asked = Asked("openai/chat-completions", headers, body)
    for tool in body.get("tools", []):
        inner = tool[tool["type"]]
        asked.tools[inner["name"]] = Tool(tool["type"], inner.get("parameters"))
    for message in body["messages"]:
        parts = message.get("content") or []
        parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
        texts = [part["text"] for part in parts if part["type"] == "text"]
        if message["role"] == "tool":
            asked.results[message["tool_call_id"]] = "".join(texts)
        else:
            (asked.system if message["role"] in ("system", "developer") else asked.texts).extend(texts)
        asked.images += [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        asked.calls += [call["id"] for call in message.get("tool_calls") or []]
    form = body.get("response_format") or {}
    asked.output_schema = form.get("json_schema", {}).get("schema")
    return asked


def prompt(body):
    return [Block(part) for part in [*body.get("tools", []), body.get("response_format"), *body["messages"]]]


def usage(asked):
    used = asked.usage
    return {
        "prompt_tokens": used.prompt,
        "completion_tokens": used.output,
        "total_tokens": used.prompt + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": REASONING, "audio_tokens": 0},
    }


def tool_call(asked, call):
    kind = asked.tools[call.name].kind
    inner = {"input": call.arguments} if kind == "custom" else {"arguments": json.dumps(call.arguments)}
    return {"id": call.id, "type": kind, kind: {"name": call.name, **inner}}


def whole(say, asked):
    message = {"role": "assistant", "content": say.text or None, "refusal": None, "annotations": []}
    if say.calls:
        message["tool_calls"] = [tool_call(asked, call) for call in say.calls]
    reason = "tool_calls" if say.calls else "stop"
    return {
        "id": f"chatcmpl-scripted-{asked.number}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": usage(asked),
        "service_tier": "default",
    }


def events(say, asked):
    with_usage = (asked.body.get("stream_options") or {}).get("include_usage")

    def chunk(delta, reason=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice], **({"usage": None} if with_usage else {})}

    head = {"id": f"chatcmpl-scripted-{asked.number}", "object": "chat.completion.chunk", "created": 1_790_000_000}
    head["model"] = asked.model
    yield chunk({"role": "assistant", "content": "" if say.text else None, "refusal": None})
    for piece in pieces(say.text):
        yield chunk({"content": piece})
    for index, call in enumerate(say.calls):
        first = tool_call(asked, call)
        kind = first["type"]
        key = "input" if kind == "custom" else "arguments"
        arguments, first[kind][key] = first[kind][key], ""
        yield chunk({"tool_calls": [{"index": index, **first}]})
        for piece in pieces(arguments):
            yield chunk({"tool_calls": [{"index": index, kind: {key: piece}}]})
    yield chunk({}, "tool_calls" if say.calls else "stop")
    if with_usage:
        yield {**head, "choices": [], "usage": usage(asked)}
    yield "[DONE]"
