"""anthropic/messages, as its server speaks it."""

import json

from .cache import Block
from .faults import Faults, items
from .script import Asked, Tool, pieces

MESSAGES_FIELDS = """cache_control container context_management inference_geo mcp_servers metadata output_config
    output_format service_tier speed stop_sequences stream system temperature thinking tool_choice tools top_k top_p"""
TOOL_FIELDS = """type description cache_control strict defer_loading input_examples allowed_callers
    eager_input_streaming"""
BLOCKS = {
    "text": ("text", "citations cache_control"),
    "image": ("source", "cache_control"),
    "document": ("source", "title context citations cache_control"),
    "tool_use": ("id name input", "cache_control caller"),
    "tool_result": ("tool_use_id", "content is_error cache_control"),
    "tool_reference": ("tool_name", "cache_control"),
    "thinking": ("thinking signature", ""),
    "redacted_thinking": ("data", ""),
}
ROLE_BLOCKS = {
    "user": "text image document tool_result",
    "assistant": "text tool_use thinking redacted_thinking",
    "system": "text",
}


def faults(body, headers):
    f = Faults()
    f.need("anthropic-version" in headers, "headers", "anthropic-version is missing")
    f.fields("body", body, "model messages max_tokens", MESSAGES_FIELDS)
    f.number("body", body, "max_tokens", 1, 1 << 20)
    f.number("body", body, "temperature", 0, 1)
    f.fields("metadata", body.get("metadata") or {}, "", "user_id")
    names = []
    for n, tool in items(f, "tools", body.get("tools", [])):
        names.append(tool.get("name"))
        if tool.get("type", "custom") == "custom":
            f.fields(f"tools[{n}]", tool, "name input_schema", TOOL_FIELDS)
            f.name(f"tools[{n}]", tool.get("name"), 128)
            f.object_schema(f"tools[{n}] {tool.get('name')}", tool.get("input_schema"), False)
            if tool.get("strict"):
                f.closed(f"tools[{n}]", tool["input_schema"], all_required=False)
    f.need(len(names) == len(set(names)), "tools", "names must be unique")
    thinking(f, body)
    if not isinstance(body.get("system", ""), str):
        for n, block in items(f, "system", body["system"]):
            messages_block(f, f"system[{n}]", block, "text")
    f.need(body["messages"], "messages", "is empty")
    waiting, first = set(), None
    for n, message in items(f, "messages", body["messages"]):
        where, role = f"messages[{n}]", message.get("role")
        f.fields(where, message, "role content")
        if not f.one_of(where, role, "user assistant system"):
            continue
        first = first or role
        f.need(first == "user", where, "the first message must be the user's")
        content = message.get("content")
        if isinstance(content, str):
            f.text(where, content, empty=False)
            content = []
        results, others = set(), False
        for m, block in items(f, where, content):
            messages_block(f, f"{where}.content[{m}]", block, ROLE_BLOCKS[role])
            if block.get("type") == "tool_result":
                f.need(not others, f"{where}.content[{m}]", "tool results come first")
                results.add(block.get("tool_use_id"))
            else:
                others = True
        if role != "system":
            f.need(results == waiting, where, f"has results of {sorted(results)}, calls were {sorted(waiting)}")
            waiting = {block.get("id") for block in content if block.get("type") == "tool_use"}
    f.need(not waiting, "messages", f"end before the results of {sorted(waiting)}")
    f.need(body["messages"][-1].get("role") != "assistant", "messages", "must end with a user message")
    turn = current_turn(body["messages"])
    if turn and (body.get("thinking") or {}).get("type") == "enabled":
        thought = turn[0]["content"][0].get("type") in ("thinking", "redacted_thinking")
        f.need(thought, "messages", "a turn that goes on must begin with its thinking")
    marks = json.dumps(body).count('"cache_control":')
    f.need(marks <= 4, "body", f"{marks} cache marks; 4 are allowed")
    return f


def current_turn(messages):
    """What the assistant has said since the user last said something that is no tool's result."""
    turn = []
    for message in reversed(messages):
        if message.get("role") == "assistant":
            turn.insert(0, message)
        elif message.get("role") == "user":
            content = message["content"]
            if isinstance(content, str) or not any(block.get("type") == "tool_result" for block in content):
                break
    return turn


def thinking(f, body):
    mode, choice = body.get("thinking") or {"type": "disabled"}, body.get("tool_choice") or {"type": "auto"}
    f.one_of("tool_choice", choice.get("type"), "auto any tool none")
    f.fields("tool_choice", choice, "type", "name disable_parallel_tool_use")
    f.need(choice["type"] != "tool" or "name" in choice, "tool_choice", "a tool without its name")
    f.need(body.get("tools") or "tool_choice" not in body, "tool_choice", "without tools")
    if f.one_of("thinking.type", mode.get("type"), "enabled disabled adaptive"):
        f.fields("thinking", mode, "type budget_tokens" if mode["type"] == "enabled" else "type", "display")
    if mode["type"] == "enabled":
        f.number("thinking", mode, "budget_tokens", 1024, body.get("max_tokens", 0) - 1)
    if mode["type"] != "disabled":
        f.need(body.get("temperature", 1) == 1 and "top_k" not in body, "thinking", "with temperature or top_k")
        f.need(choice["type"] in ("auto", "none"), "thinking", "with a forced tool")
    output = body.get("output_config") or {}
    f.fields("output_config", output, "", "effort format task_budget")
    form = output.get("format")
    if form:
        f.fields("output_config.format", form, "type schema")
        f.closed("output_config.format", form.get("schema"), all_required=False)


def messages_block(f, where, block, allowed):
    kind = block.get("type")
    if not f.one_of(where, kind, allowed):
        return
    required, optional = BLOCKS[kind]
    if not f.fields(where, block, f"type {required}", optional):
        return
    if kind == "text":
        f.text(where, block["text"], empty=False)
    elif kind in ("image", "document"):
        source = block["source"]
        if f.one_of(where, source.get("type"), "base64 url file text content") and source["type"] == "base64":
            f.fields(where, source, "type media_type data")
            if kind == "image":
                f.image(where, f"data:{source['media_type']};base64,{source['data']}")
    elif kind == "tool_use":
        f.name(where, block["name"], 128)
        f.name(f"{where}.id", block["id"], 256)
        f.need(isinstance(block["input"], dict), where, "input must be an object")
    elif kind == "tool_result" and not isinstance(block.get("content", ""), str):
        for n, part in items(f, where, block["content"]):
            messages_block(f, f"{where}.content[{n}]", part, "text image document tool_reference")


def view(body, headers):
    asked = Asked("anthropic/messages", headers, body)
    for tool in body.get("tools", []):
        if tool.get("type", "custom") == "custom":
            asked.tools[tool["name"]] = Tool("function", tool["input_schema"])
    system = body.get("system") or []
    asked.system = [system] if isinstance(system, str) else [block["text"] for block in system]
    for message in body["messages"]:
        read(asked, message["role"], message["content"])
    asked.output_schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    return asked


def read(asked, role, content):
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        kind = block["type"]
        if kind == "text":
            (asked.system if role == "system" else asked.texts).append(block["text"])
        elif kind == "image":
            asked.images.append(picture(block["source"]))
        elif kind == "tool_use":
            asked.calls.append(block["id"])
        elif kind == "tool_result":
            inner = block.get("content", "")
            parts = [{"text": inner}] if isinstance(inner, str) else inner
            texts = [part.get("text") or part.get("tool_name", "") for part in parts]
            asked.images += [picture(part["source"]) for part in parts if part.get("type") == "image"]
            asked.results[block["tool_use_id"]] = "".join(texts)
        elif kind == "thinking":
            asked.thoughts.append(block["signature"])


def picture(source):
    return source.get("url") or f"data:{source['media_type']};base64,{source['data']}"


def blocks(say, asked):
    made = []
    if say.thinking and (asked.body.get("thinking") or {"type": "disabled"})["type"] != "disabled":
        made.append({"type": "thinking", "thinking": say.thinking, "signature": "c2lnbmVkIGJ5IHRoZSBzY3JpcHQ="})
    if say.text:
        made.append({"type": "text", "text": say.text})
    for call in say.calls:
        made.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
    return made


def whole(say, asked):
    return {
        "id": f"msg_scripted_{asked.number}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": blocks(say, asked),
        "stop_reason": "tool_use" if say.calls else "end_turn",
        "stop_sequence": None,
        "usage": usage(asked),
    }


def prompt(body):
    system = body.get("system") or []
    blocks = [*body.get("tools", []), *([system] if isinstance(system, str) else system)]
    # How it may think and call is told in front of what was said.
    blocks.append([body.get("thinking"), body.get("tool_choice")])
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            blocks.append({"role": message["role"], **block})
    made = []
    for block in blocks:
        mark = block.get("cache_control") if isinstance(block, dict) else None
        said = {k: v for k, v in block.items() if k != "cache_control"} if mark else block
        made.append(Block(said, mark))
    made[-1].mark = made[-1].mark or body.get("cache_control")
    return made


def usage(asked, output=None):
    # In this dialect what comes from the cache, or goes there, is not part of `input_tokens`.
    used = asked.usage
    return {
        "input_tokens": used.prompt - used.cached - used.written,
        "cache_creation_input_tokens": used.written,
        "cache_read_input_tokens": used.cached,
        "output_tokens": used.output if output is None else output,
        "service_tier": "standard",
    }


def events(say, asked):
    final = whole(say, asked)
    start = {**final, "content": [], "stop_reason": None, "usage": usage(asked, 1)}
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(final["content"]):
        kind = block["type"]
        deltas = []
        if kind == "text":
            empty = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        elif kind == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            empty = {**block, "input": {}}
            text = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(text)]]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": final["stop_reason"], "stop_sequence": None}
    # The figures of the prompt once more, as the server has it now: LangChain reads them here, and not at the start.
    yield {"type": "message_delta", "delta": stop, "usage": usage(asked)}
    yield {"type": "message_stop"}
