"""Collects what the providers' own servers would refuse, so that a request which only looks right does not pass.

The rules of the three dialects are those of the public API references and of what the servers answer 400 to:
unknown fields, tool calls without results, content parts in the wrong role, schemas a strict mode refuses.
"""

import json
import re


class Faults(list):
    """Collects what is wrong, and where."""

    def need(self, true, where, what):
        if not true:
            self.append(f"{where}: {what}")
        return bool(true)

    def fields(self, where, value, required="", optional=""):
        """An object with these fields and no others; names are separated by blanks."""
        if not self.need(isinstance(value, dict), where, f"must be an object, is {short(value)}"):
            return False
        required, optional = required.split(), optional.split()
        for name in required:
            self.need(name in value, where, f"{name} is missing")
        for name in value:
            self.need(name in required or name in optional, where, f"unknown field {name}")
        return all(name in value for name in required)

    def text(self, where, value, empty=True):
        return self.need(isinstance(value, str) and (empty or value != ""), where, f"must be text, is {short(value)}")

    def one_of(self, where, value, allowed):
        return self.need(value in allowed.split(), where, f"must be one of {allowed}, is {short(value)}")

    def name(self, where, value, longest=64):
        fits = isinstance(value, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,%d}" % longest, value)
        return self.need(fits, where, f"is no tool name: {short(value)}")

    def number(self, where, body, field, low, high):
        if body.get(field) is not None:
            value = body[field]
            fits = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
            self.need(fits, where, f"{field} must be in {low}..{high}, is {short(value)}")

    def object_schema(self, where, schema, strict):
        if self.need(isinstance(schema, dict), where, f"is no schema: {short(schema)}"):
            self.need(schema.get("type") == "object", where, f"the type is {short(schema.get('type'))}, not object")
            if strict:
                self.closed(where, schema, all_required=True)

    def closed(self, where, schema, all_required):
        """As strict modes want it: every object closed and, with OpenAI, every property required."""
        if isinstance(schema, list):
            for n, part in enumerate(schema):
                self.closed(f"{where}[{n}]", part, all_required)
        if not isinstance(schema, dict):
            return
        if schema.get("type") == "object" or isinstance(schema.get("properties"), dict):
            self.need(schema.get("additionalProperties") is False, where, "additionalProperties must be false")
            if all_required:
                missing = set(schema.get("properties", {})) - set(schema.get("required", []))
                self.need(not missing, where, f"strict, yet not required: {sorted(missing)}")
        for key in ("items", "anyOf", "allOf"):
            self.closed(f"{where}.{key}", schema.get(key), all_required)
        for key in ("properties", "$defs", "definitions"):
            for name, part in (schema.get(key) or {}).items():
                self.closed(f"{where}.{key}.{name}", part, all_required)

    def arguments(self, where, value):
        try:
            self.need(isinstance(json.loads(value), dict), where, "arguments must be a JSON object")
        except (TypeError, ValueError):
            self.append(f"{where}: arguments are no JSON: {short(value)}")

    def image(self, where, url):
        data = r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+=*"
        fits = isinstance(url, str) and (re.fullmatch(data, url) or url.startswith("https://"))
        self.need(fits, where, f"is no image: {short(url)}")


def short(value):
    text = json.dumps(value, default=str)
    return text if len(text) < 90 else text[:87] + "..."


def items(faults, where, value):
    return enumerate(value) if faults.need(isinstance(value, list), where, "must be a list") else ()
