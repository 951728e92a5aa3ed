"""openai/responses, as its server speaks it."""

import json

from .cache import Block
from .chat import response_format
from .faults import Faults, items
from .script import REASONING, Asked, Tool, pieces

RESPONSES_FIELDS = """background client_metadata context_management conversation include input instructions
    max_output_tokens max_tool_calls metadata moderation parallel_tool_calls previous_response_id prompt
    prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream
    stream_options temperature text tool_choice tools top_logprobs top_p truncation user verbosity"""
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
ITEM_FIELDS = {
    "function_call": ("call_id name arguments", "id status namespace caller"),
    "custom_tool_call": ("call_id name input", "id status namespace caller"),
    "function_call_output": ("call_id output", "id status caller"),
    "custom_tool_call_output": ("call_id output", "id status caller"),
    "reasoning": ("summary", "id content encrypted_content status"),
    "compaction": ("encrypted_content", "id"),
    "compaction_trigger": ("", ""),
    "item_reference": ("id", ""),
    "additional_tools": ("tools", "id role"),
}
ID_PREFIX = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}


def faults(body, headers):
    f = Faults()
    f.fields("body", body, "model", RESPONSES_FIELDS)
    f.number("body", body, "temperature", 0, 2)
    f.number("body", body, "max_output_tokens", 16, 1 << 20)
    f.need(body.get("input") or body.get("prompt"), "body", "no input")
    for n, tool in items(f, "tools", body.get("tools", [])):
        responses_tool(f, f"tools[{n}]", tool)
    text = body.get("text") or {}
    f.fields("text", text, "", "format verbosity")
    response_format(f, "text.format", text.get("format"), nested=False)
    f.fields("reasoning", body.get("reasoning") or {}, "", "effort summary generate_summary context mode")
    if isinstance(body.get("input"), str):
        return f
    calls = {}
    for n, item in items(f, "input", body.get("input")):
        where = f"input[{n}]"
        # Codex's built-in provider adds this to its items.
        item = {k: v for k, v in item.items() if k != "internal_chat_message_metadata_passthrough"}
        kind = item.get("type", "message")
        prefix = ID_PREFIX.get(kind, "")
        f.need(str(item.get("id") or prefix).startswith(prefix), where, f"the id of a {kind} begins with {prefix}")
        if kind == "message":
            responses_message(f, where, item)
        elif f.need(kind in ITEM_FIELDS, where, f"unknown item {kind}"):
            for m, tool in enumerate(item.get("tools", [])):
                responses_tool(f, f"{where}.tools[{m}]", tool)
            required, optional = ITEM_FIELDS[kind]
            f.fields(where, item, required, f"type {optional}")
            if kind in CALLS:
                f.name(where, item.get("name"), 128)
                f.need(calls.setdefault(item.get("call_id"), kind) is kind, where, "a second call of this call_id")
                if kind == "function_call":
                    f.arguments(where, item.get("arguments"))
            elif kind.endswith("_output"):
                asked = calls.pop(item.get("call_id"), None)
                f.need(asked == kind.removesuffix("_output"), where, f"answers no {kind.removesuffix('_output')}")
                if not isinstance(item.get("output"), str):
                    for m, part in items(f, f"{where}.output", item.get("output")):
                        f.one_of(f"{where}.output[{m}]", part.get("type"), "input_text input_image input_file")
    f.need(not calls, "input", f"ends before the outputs of {sorted(calls)}")
    return f


def responses_message(f, where, item):
    f.fields(where, item, "role content", "type id status phase")
    if f.one_of(f"{where}.role", item.get("role"), "system developer user assistant") and not isinstance(
        item.get("content"), str
    ):
        allowed = "output_text refusal" if item["role"] == "assistant" else "input_text input_image input_file"
        for n, part in items(f, f"{where}.content", item.get("content")):
            at, kind = f"{where}.content[{n}]", part.get("type")
            if not f.one_of(at, kind, allowed):
                continue
            if kind.endswith("_text"):
                f.fields(at, part, "type text", "annotations logprobs")
                f.text(at, part.get("text"))
            elif kind == "input_image":
                f.fields(at, part, "type", "image_url file_id detail")
                if "file_id" not in part:
                    f.image(at, part.get("image_url"))
            elif kind == "input_file":
                f.fields(at, part, "type", "file_data filename file_id file_url detail")


def responses_tool(f, where, tool):
    kind = tool.get("type")
    if kind == "function":
        f.fields(where, tool, "type name", "description parameters strict defer_loading output_schema")
        f.name(where, tool.get("name"), 128)
        if tool.get("parameters") is not None:
            # This API is strict unless told otherwise, and then closes what it can by itself.
            f.object_schema(f"{where} {tool.get('name')}", tool["parameters"], tool.get("strict"))
    elif kind == "custom":
        f.fields(where, tool, "type name", "description format defer_loading")
        f.name(where, tool.get("name"), 128)
    elif kind == "namespace":
        f.fields(where, tool, "type name description tools")
        for n, inner in items(f, where, tool.get("tools")):
            responses_tool(f, f"{where}.tools[{n}]", inner)
    else:
        hosted = "web_search web_search_preview file_search code_interpreter image_generation mcp local_shell shell"
        f.one_of(f"{where}.type", kind, f"{hosted} apply_patch tool_search computer_use_preview")


def view(body, headers):
    asked = Asked("openai/responses", headers, body)
    offer(asked.tools, body.get("tools", []), None)
    if body.get("instructions"):
        asked.system.append(body["instructions"])
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type", "message")
        content = item.get("content") if kind == "message" else item.get("output")
        parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content or []
        texts = [part["text"] for part in parts if part["type"].endswith("_text")]
        asked.images += [part["image_url"] for part in parts if part["type"] == "input_image"]
        if kind == "message":
            (asked.system if item["role"] in ("system", "developer") else asked.texts).extend(texts)
        elif kind == "additional_tools":
            offer(asked.tools, item["tools"], None)
        elif kind in CALLS:
            asked.calls.append(item["call_id"])
        elif kind.endswith("_output"):
            asked.results[item["call_id"]] = "".join(texts)
        elif kind == "reasoning":
            asked.thoughts.append(item.get("encrypted_content"))
    asked.output_schema = ((body.get("text") or {}).get("format") or {}).get("schema")
    return asked


def offer(into, tools, namespace):
    for tool in tools:
        if tool["type"] == "namespace":
            offer(into, tool["tools"], tool["name"])
        elif tool["type"] in ("function", "custom"):
            into[tool["name"]] = Tool(tool["type"], tool.get("parameters"), namespace)


def output(say, asked):
    """The items of the answer."""
    made = []
    if say.thinking:
        summary = [{"type": "summary_text", "text": say.thinking}]
        made.append({"id": f"rs_scripted_{asked.number}", "type": "reasoning", "summary": summary})
        if "reasoning.encrypted_content" in (asked.body.get("include") or []):
            made[0]["encrypted_content"] = "sealed-by-the-script"
    if say.text:
        part = {"type": "output_text", "text": say.text, "annotations": [], "logprobs": []}
        head = {"id": f"msg_scripted_{asked.number}", "type": "message", "status": "completed", "role": "assistant"}
        made.append({**head, "content": [part]})
    for n, call in enumerate(say.calls):
        tool = asked.tools[call.name]
        kind = "custom_tool_call" if tool.kind == "custom" else "function_call"
        arguments = call.arguments if tool.kind == "custom" else json.dumps(call.arguments)
        item = {"id": f"{ID_PREFIX[kind]}_{asked.number}_{n}", "type": kind, "status": "completed"}
        item |= {"call_id": call.id, "name": call.name, CALLS[kind]: arguments}
        if tool.namespace:
            item["namespace"] = tool.namespace
        made.append(item)
    return made


def whole(say, asked, status="completed"):
    done = status == "completed"
    return {
        "id": f"resp_scripted_{asked.number}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.body.get("instructions"),
        "metadata": asked.body.get("metadata") or {},
        "model": asked.model,
        "output": output(say, asked) if done else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": asked.body.get("tool_choice", "auto"),
        "tools": asked.body.get("tools", []),
        "top_p": 1.0,
        "store": asked.body.get("store", True),
        "usage": usage(asked) if done else None,
    }


# Members of items and of their parts that are about them, and no part of what the model reads.
UNREAD = ("id", "status", "internal_chat_message_metadata_passthrough", "annotations", "logprobs")


def prompt(body):
    given = [body["input"]] if isinstance(body["input"], str) else body["input"]
    return [Block(part) for part in [*body.get("tools", []), body.get("instructions"), *map(read, given)]]


def read(item):
    """An item, or a part of one, as a model reads it: neither the order of its fields nor what is null tells anything."""
    if not isinstance(item, dict):
        return item
    said = {name: item[name] for name in sorted(item) if name not in UNREAD and item[name] is not None}
    parts = said.get("content")
    return {**said, "content": [*map(read, parts)]} if isinstance(parts, list) else said


def usage(asked):
    used = asked.usage
    return {
        "input_tokens": used.prompt,
        "input_tokens_details": {"cached_tokens": used.cached},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": REASONING},
        "total_tokens": used.prompt + used.output,
    }


def events(say, asked):
    for number, event in enumerate(unnumbered(say, asked)):
        yield {**event, "sequence_number": number}


def unnumbered(say, asked):
    yield {"type": "response.created", "response": whole(say, asked, "in_progress")}
    yield {"type": "response.in_progress", "response": whole(say, asked, "in_progress")}
    for index, item in enumerate(output(say, asked)):
        at = {"item_id": item["id"], "output_index": index}
        empty = {**item, **({"status": "in_progress"} if "status" in item else {})}
        empty.pop("encrypted_content", None)
        kind = item["type"]
        for field in ("content", "summary"):
            if field in item:
                empty[field] = []
        if kind in CALLS:
            empty[CALLS[kind]] = ""
        yield {"type": "response.output_item.added", "output_index": index, "item": empty}
        if kind == "message":
            part = {**at, "content_index": 0}
            text = item["content"][0]["text"]
            blank = {**item["content"][0], "text": ""}
            yield {"type": "response.content_part.added", **part, "part": blank}
            for piece in pieces(text):
                yield {"type": "response.output_text.delta", **part, "delta": piece, "logprobs": []}
            yield {"type": "response.output_text.done", **part, "text": text, "logprobs": []}
            yield {"type": "response.content_part.done", **part, "part": item["content"][0]}
        elif kind == "reasoning":
            part, text = {**at, "summary_index": 0}, item["summary"][0]["text"]
            blank = {"type": "summary_text", "text": ""}
            yield {"type": "response.reasoning_summary_part.added", **part, "part": blank}
            for piece in pieces(text):
                yield {"type": "response.reasoning_summary_text.delta", **part, "delta": piece}
            yield {"type": "response.reasoning_summary_text.done", **part, "text": text}
            yield {"type": "response.reasoning_summary_part.done", **part, "part": item["summary"][0]}
        else:
            field = CALLS[kind]
            name = "custom_tool_call_input" if field == "input" else "function_call_arguments"
            for piece in pieces(item[field]):
                yield {"type": f"response.{name}.delta", **at, "delta": piece}
            yield {"type": f"response.{name}.done", **at, field: item[field]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": whole(say, asked)}
