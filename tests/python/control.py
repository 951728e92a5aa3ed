"""The control plane under test: gateways with API keys on either bank, and a client that knows the published document
and nothing else."""

import contextlib
import functools
import json
import os
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.parse

import httpx
import jsonschema
import pytest

import gateways
from gateways import ADMIN_KEY, MASTER_KEY, PLANTED, free_port, sha256
from provider import Provider

PUBLISHED = json.loads((pathlib.Path(__file__).parent / "published.json").read_text())
READER, USAGE, ACME = (f"tga-{id}-g1-" + PLANTED + "C" * 36 for id in ("reader", "usage", "acme"))
DECLARED_TOKEN = "tg-declared-g1-" + PLANTED + "D" * 36
DECLARED_KEY = "declared-provider-key-" + PLANTED + "-0123456789"
ENV = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY, "TOLLGATE_MASTER_KEY": MASTER_KEY}
BANKS = ("sqlite", "redis")

FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_date_time(value):
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value)
    )


@FORMATS.checks("uri")
def is_uri(value):
    return not isinstance(value, str) or bool(urllib.parse.urlparse(value).scheme)


@functools.cache
def validator(schema):
    """Of a schema as JSON text, which may refer to the document's."""
    return jsonschema.Draft202012Validator(
        {**json.loads(schema), "schemas": PUBLISHED["schemas"]}, format_checker=FORMATS
    )


def assert_valid(value, schema, what):
    errors = [f"{error.json_path}: {error.message}" for error in validator(json.dumps(schema)).iter_errors(value)]
    assert not errors, f"{errors}: {what}"


class Api:
    """A client of the published document. It sends what that allows, and believes nothing else of an answer."""

    def __init__(self, gateway, key=ADMIN_KEY):
        self.gateway = gateway
        self.base = gateway.admin_url
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=self.base, headers=headers, timeout=30)
        # (method, path, status) of all answers that were seen to be as the document says.
        self.seen = set()

    def call(self, method, path, id=None, *, body=None, expect=None, valid=True, **query):
        """The answer's body, which is as the document says; `expect`: its status, if that is no success."""
        operation = PUBLISHED["paths"][path][method]
        if valid:
            assert set(query) <= set(operation["query"]), "a client that knows the document only"
            if operation["body"]:
                assert_valid(body, operation["body"], f"what a client sends: {method} {path}")
        url = path if id is None else path.replace("{id}", urllib.parse.quote(id, safe=""))
        # Absent parameters are absent; truth values as JSON has them.
        params = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items() if v is not None}
        answer = self.http.request(method.upper(), url, params=params, json=body) if body is not None else (
            self.http.request(method.upper(), url, params=params)
        )
        return self.checked(method, path, answer, expect)

    def checked(self, method, path, answer, expect=None):
        operation = PUBLISHED["paths"][path][method]
        what = f"{method} {path} answered {answer.status_code} {answer.text[:1000]}"
        status = str(answer.status_code)
        success = [status for status in operation["answers"] if status.startswith("2")]
        assert status == (str(expect) if expect else success[0]), what
        assert answer.headers["x-request-id"] and answer.headers["cache-control"] == "no-store", what
        self.seen.add((method, path, answer.status_code))
        schema = operation["answers"].get(status, operation["answers"]["default"])
        if schema is None:
            assert answer.content == b"", what
            return None
        assert answer.headers["content-type"] == "application/json", what
        value = answer.json()
        assert_valid(value, schema, what)
        if expect and expect >= 400:
            assert value["statusCode"] == answer.status_code and value["msg"] and value["errorCode"], what
        if method == "get" and "head" in PUBLISHED["paths"][path]:
            head = self.http.head(str(answer.request.url), headers=answer.request.headers)
            assert (head.status_code, head.content) == (answer.status_code, b""), f"HEAD {path}"
            assert head.headers["content-type"] == "application/json", f"HEAD {path}"
            self.seen.add(("head", path, head.status_code))
        return value

    def get(self, uri, path):
        """What is at a URI that was answered; `path`: where that is in the document."""
        assert uri.startswith(self.base + "/"), uri
        return self.checked("get", path, self.http.get(uri))

    def every(self, path, items, limit=None):
        """All pages of a list, joined."""
        page = self.call("get", path, limit=limit)
        pages = [page]
        while page.get("nextPageUri"):
            page = self.get(page["nextPageUri"], path)
            pages.append(page)
        return pages, [item for page in pages for item in page[items]]

    def raw(self, method, path, **arguments):
        return self.http.request(method, path, **arguments)

    def close(self):
        self.http.close()


def configuration(stub, bank, redis=None):
    ledger = {"bank": "sqlite"} if bank == "sqlite" else {"bank": "redis", "redis": {"url": redis}}
    # Roles and accounts are not in the document, so what has them is out of the way of those who only know that.
    roles = [("reader", READER, "read-only", "reports"), ("usage", USAGE, "usage-only", "reports"), ("acme", ACME, "full", "acme")]
    return {
        "ledger": {**ledger, "processing_fee": 2.5},
        "timeouts": {"per_request": "5s", "whole_answer": "5s", "total": "10s", "stream_idle": "5s", "hold": "5s"},
        "admin": {
            "api_keys": [
                {"id": id, "sha256": sha256(token), "role": role, "account": account}
                for id, token, role, account in roles
            ]
        },
        "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1000}]}, {"id": "acme"}, {"id": "reports"}],
        "providers": [
            {
                "id": "stub",
                "base_url": f"http://127.0.0.1:{stub}",
                "surfaces": ["openai/chat-completions"],
                "passthrough": True,
                "keys": [{"id": "declared-key", "value": DECLARED_KEY}],
            }
        ],
        "configurations": [{"id": "declared-configuration", "access": {"models": {"allow": ["demo:echo"]}}}],
        "access_keys": [{"id": "declared", "sha256": sha256(DECLARED_TOKEN)}],
    }


class Redis:
    """A redis-server of its own; a durable one keeps in `directory` what it holds, so that it can be started again."""

    def __init__(self, directory, port=None, durable=False):
        self.port = port or free_port()
        program = os.environ.get("TOLLGATE_TEST_REDIS") or shutil.which("redis-server") or shutil.which("valkey-server")
        if not program:
            pytest.skip("needs redis-server")
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes" if durable else "no"]
        self.process = subprocess.Popen(
            [program, *arguments], cwd=directory, stdout=subprocess.DEVNULL, start_new_session=durable
        )
        self.url = f"redis://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            # It may still be loading what it has kept.
            with contextlib.suppress(OSError, AssertionError):
                assert self.ask("PING") == b"PONG"
                return
            time.sleep(0.02)
        self.stop()
        raise AssertionError("redis-server did not start")

    def ask(self, *words):
        """One command over a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            with s.makefile("rb") as file:
                return self.read(file)

    def read(self, file):
        line = file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind in b"+:":
            return rest
        if kind == b"-":
            raise AssertionError(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return file.read(int(rest) + 2)[:-2]
        return [self.read(file) for _ in range(int(rest))]

    def everything(self):
        """Every key, and what it holds, as text."""
        readers = {
            b"string": lambda key: self.ask("GET", key),
            b"hash": lambda key: self.ask("HGETALL", key),
            b"list": lambda key: self.ask("LRANGE", key, 0, -1),
            b"set": lambda key: self.ask("SMEMBERS", key),
            b"zset": lambda key: self.ask("ZRANGE", key, 0, -1),
            b"stream": lambda key: self.ask("XRANGE", key, "-", "+"),
        }
        cursor, out = b"0", []
        while True:
            cursor, keys = self.ask("SCAN", cursor, "COUNT", 1000)
            for key in keys:
                # Small collections are compressed in a dump, so they are read as well.
                out += [key, repr(readers[self.ask("TYPE", key)](key)).encode(), self.ask("DUMP", key)]
            if cursor == b"0":
                return b"\n".join(out)

    def stop(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def control_plane(directory, bank, env=None, more=None, secrets=()):
    """A gateway with a control plane on `bank`, with a provider that it may call."""
    directory = pathlib.Path(directory)
    redis = Redis(directory) if bank == "redis" else None
    try:
        with Provider() as stub:
            config = {**configuration(stub.port, bank, redis and redis.url), **(more or {})}
            with gateways.running(directory, config, {**ENV, **(env or {})}, DECLARED_TOKEN, None, stub, secrets) as gateway:
                gateway.bank, gateway.redis = bank, redis
                yield gateway
        if redis:
            found = gateways.told([PLANTED, MASTER_KEY, *secrets], redis.everything())
            assert found is None, f"Redis holds the secret {found!r}"
    finally:
        if redis:
            redis.stop()


def provider_key_value():
    """A credential for a provider, which nobody else has."""
    return f"sk-{secrets.token_hex(6)}-{PLANTED}-{secrets.token_hex(8)}"


def chat(gateway, token, model="demo:echo", **more):
    """A request of an application: the answer, whatever it is."""
    return httpx.post(
        f"{gateway.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {token}"},
        json={"model": model, "messages": [{"role": "user", "content": "Hello"}], **more},
        timeout=20,
    )


def eventually(what, condition, seconds=15):
    """Waits until a condition holds; what it then is."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)
