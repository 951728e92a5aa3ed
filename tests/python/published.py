"""Makes published.json from the published control-plane document: its facts, without its words.

    python published.py DOCUMENT.yaml > published.json        needs PyYAML

What is kept: paths, methods, query parameters, request schemas, statuses and answer schemas; what is OpenAPI 3.0's
own way of saying something (`nullable`, `discriminator`) becomes JSON Schema 2020-12. Where the document has the
word `ngrok` for a choice, `managed` is a choice as well: what we say.
"""

import json
import sys

WORDS = {"description", "summary", "title", "example", "examples", "externalDocs", "discriminator"}
METHODS = ("get", "head", "post", "put", "patch", "delete")
REFERENCE = "#/components/schemas/"


def schema(node):
    """An OpenAPI 3.0 schema as a JSON Schema."""
    if "$ref" in node:
        return {"$ref": node["$ref"].replace(REFERENCE, "#/schemas/")}
    out = {}
    for key, value in node.items():
        if key in WORDS or key.startswith("x-") or key == "nullable":
            continue
        if key == "properties":
            value = {name: schema(property) for name, property in value.items()}
        elif key in ("allOf", "oneOf", "anyOf"):
            value = [schema(choice) for choice in value]
        elif key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
            value = schema(value)
        elif key == "enum" and "ngrok" in value:
            value = [*value, "managed"]
        elif key == "format" and value in ("int32", "int64"):
            # The range of the type that clients read it into.
            bits = int(value[3:]) - 1
            out.setdefault("minimum", node.get("minimum", -(2**bits)))
            out.setdefault("maximum", node.get("maximum", 2**bits - 1))
            continue
        out[key] = value
    if node.get("nullable"):
        if isinstance(out.get("type"), str):
            out["type"] = [out["type"], "null"]
        else:
            out = {"anyOf": [out, {"type": "null"}]}
    return out


def resolved(document, node):
    while "$ref" in node:
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def body(node):
    content = node.get("content", {}).get("application/json")
    return schema(content["schema"]) if content else None


def facts(document):
    paths = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            operation = item[method]
            parameters = [
                resolved(document, parameter)
                for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]
            ]
            request = operation.get("requestBody")
            paths.setdefault(path, {})[method] = {
                "query": {
                    parameter["name"]: {"required": parameter.get("required", False), "schema": schema(parameter["schema"])}
                    for parameter in parameters
                    if parameter["in"] == "query"
                },
                "body": body(request) if request else None,
                "answers": {status: body(resolved(document, answer)) for status, answer in operation["responses"].items()},
            }
    schemas = {name: schema(node) for name, node in document["components"]["schemas"].items()}
    return {"paths": paths, "schemas": schemas}


if __name__ == "__main__":
    import yaml

    with open(sys.argv[1]) as file:
        print(json.dumps(facts(yaml.safe_load(file)), indent=1, sort_keys=True))
